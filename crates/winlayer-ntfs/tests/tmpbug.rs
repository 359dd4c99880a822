mod plan;
use plan::*;
use winlayer_ntfs::*;
use std::io::*;
#[test] fn bug() {
    for many in [0, 1, 2, 5, 10, 50, 200] {
        let mut plan = Plan::new();
        let mut f = Object::file(0, "x".repeat(240), 97);
        f.extended = extended(&[("A", 200), ("B", 200), ("C", 200)]);
        f.links = vec![(0, "_".into())];
        plan.add(f);
        for n in 0..many { plan.add(Object::file(0, format!("f{n}"), n % 50)); }
        let (image, s) = plan.write(VolumeSize::Fit{free: 100000}).unwrap();
        let mut v = Volume::open(Cursor::new(&image[..])).unwrap();
        let r = v.lookup("_").unwrap().unwrap();
        let o = v.object(r).unwrap();
        let mut b = Vec::new();
        v.stream(&o, "").unwrap().read_to_end(&mut b).unwrap();
        println!("{many} {s:?} {:?} {:?} {:x?}", o.streams, b == Content::of(97).bytes(), &b[..20]);
    }
}
