//! The kept inputs, and some simple ones, through every property.

use std::fs;
use std::path::Path;

use iodine_properties::PROPERTIES;

#[test]
fn properties_hold_for_kept_inputs() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for (name, property) in PROPERTIES {
        let mut count = 0;
        for entry in fs::read_dir(seeds.join(name)).unwrap_or_else(|error| panic!("seeds of {name}: {error}")) {
            let path = entry.unwrap().path();
            eprintln!("{}", path.display());
            property(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count > 0, "{name} has seeds");
    }
}

#[test]
fn every_folder_of_seeds_has_its_property() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
    for entry in fs::read_dir(seeds).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(iodine_properties::find(&name).is_some(), "{name}");
    }
}

#[test]
fn properties_hold_for_simple_inputs() {
    for (_, property) in PROPERTIES {
        property(b"");
        for byte in 0..=u8::MAX {
            property(&[byte]);
            property(&[byte; 40]);
        }
    }
}
