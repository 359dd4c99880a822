//! The fuzz targets' seeds, and corpora when there are any, as an ordinary test.

mod support;

#[test]
fn seeds_and_corpora_hold_what_the_oracles_say() {
    for (name, oracle, seeds) in support::seeds::targets() {
        for seed in seeds {
            oracle(&seed);
        }
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
        let Ok(entries) = std::fs::read_dir(format!("{corpus}/{name}")) else {
            continue;
        };
        for entry in entries.take(2000) {
            oracle(&std::fs::read(entry.unwrap().path()).unwrap());
        }
    }
}
