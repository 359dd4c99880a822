//! `winlayer ls`.

use super::refuse_layer;
use crate::args::LsArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::source::Source;
use crate::text::{escape, thousands};
use serde::Serialize;
use std::fmt::Write;
use winlayer::{ListedObject, list, list_disk};

#[derive(Serialize)]
struct Listing<'a> {
    #[serde(flatten)]
    place: Place,
    path: Option<&'a str>,
    layer: Option<usize>,
    objects: Vec<ListedObject>,
}

/// What was listed.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Image(String),
    Disk(String),
}

pub(crate) fn run(args: &LsArgs, output: &mut Output) -> Result<(), Failure> {
    let path = args.path.as_deref();
    let (place, objects) = match &args.subject {
        Source::Image(reference) => {
            args.disk.refuse_for_image()?;
            let image = args.source.resolve(reference)?;
            let limits = args.limits.limits();
            let objects = list(&image, path, args.layer, args.recursive, &limits)?;
            (Place::Image(reference.to_string()), objects)
        }
        Source::Disk(file) => {
            refuse_layer(args.layer)?;
            let objects = list_disk(&args.disk.file(file), path, args.recursive)?;
            (Place::Disk(file.display().to_string()), objects)
        }
    };
    if output.is_json() {
        return output.document(&Listing {
            place,
            path,
            layer: args.layer,
            objects,
        });
    }
    for object in &objects {
        output.data(&if args.long {
            long_line(object)
        } else {
            short_line(object)
        })?;
    }
    Ok(())
}

fn short_line(object: &ListedObject) -> String {
    format!("{}\n", escape(&object.path))
}

/// `-rh-a---         1,234  2024-05-01T…Z  1  path -> target`.
fn long_line(object: &ListedObject) -> String {
    let size = if object.kind == "file" {
        thousands(object.size)
    } else {
        "-".to_owned()
    };
    let mut line = format!(
        "{}  {size:>14}  {}  {}  {}",
        attributes(object),
        escape(&object.written),
        object.layer,
        escape(&object.path),
    );
    if let Some(target) = &object.target {
        // Writing to a String cannot fail.
        let _ = write!(line, " -> {}", escape(target));
    }
    line.push('\n');
    line
}

/// Letters as the Windows tools use them, in a fixed order; the bits are those of MS-FSCC 2.6.
fn attributes(object: &ListedObject) -> String {
    const LETTERS: [(u32, char); 8] = [
        (0x10, 'd'),
        (0x1, 'r'),
        (0x2, 'h'),
        (0x4, 's'),
        (0x20, 'a'),
        (0x400, 'l'),
        (0x200, 'p'),
        (0x800, 'c'),
    ];
    LETTERS
        .iter()
        .map(|(bit, letter)| {
            if object.attributes & bit == 0 {
                '-'
            } else {
                *letter
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ListedObject {
        ListedObject {
            path: "Files/a\u{1b}".to_owned(),
            kind: "file",
            size: 12345,
            attributes: 0x21,
            written: "2024-05-01T00:00:00.0000000Z".to_owned(),
            target: None,
            layer: 2,
        }
    }

    #[test]
    fn long_lines_line_up_and_hide_no_escape_codes() {
        assert_eq!(
            long_line(&object()),
            "-r--a---          12,345  2024-05-01T00:00:00.0000000Z  2  Files/a\\u{1b}\n"
        );
    }

    #[test]
    fn long_lines_show_where_links_lead_and_no_size() {
        let target = Some("C:\\x".to_owned());
        let link = ListedObject {
            kind: "symlink",
            attributes: 0x410,
            target,
            ..object()
        };
        let line = long_line(&link);
        assert!(line.starts_with("d----l--               -  "), "{line:?}");
        assert!(line.ends_with(" -> C:\\x\n"), "{line:?}");
    }
}
