//! One fuzzer for all properties: `IODINE_PROPERTY` names the one to look at.
#![no_main]

use std::sync::LazyLock;

use iodine_properties::Property;
use libfuzzer_sys::fuzz_target;

static PROPERTY: LazyLock<Property> = LazyLock::new(|| {
    let name = std::env::var("IODINE_PROPERTY").expect("IODINE_PROPERTY names a property");
    iodine_properties::find(&name).unwrap_or_else(|| panic!("there is no property {name}"))
});

fuzz_target!(|bytes: &[u8]| PROPERTY(bytes));
