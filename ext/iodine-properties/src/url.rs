use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use iodine_core::net::address::{Address, Url};
use iodine_proto::http1::url::{decode_form, decode_path};

/// What was escaped comes back, anything else is read or refused, and addresses are as they say they are.
pub(crate) fn decodes_as_it_was_encoded(bytes: &[u8]) {
    let escaped: Vec<u8> = bytes.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
    assert_eq!(decode_path(&escaped).as_deref(), Ok(bytes));
    assert_eq!(decode_form(&escaped).as_deref(), Ok(bytes));
    for decoded in [decode_path(bytes), decode_form(bytes)].into_iter().flatten() {
        assert!(decoded.len() <= bytes.len());
    }
    if let Ok(url) = std::str::from_utf8(bytes).map_err(drop).and_then(|text| Url::parse(text).map_err(drop)) {
        assert!(!matches!(url.address, Address::Tcp { port: 0, .. }) || bytes.contains(&b'0'));
    }
    let (host, port) = bytes.split_at(bytes.len() / 2);
    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
    if let Ok(address) = Address::new(Some(OsStr::from_bytes(host)), port) {
        assert!(!address.to_string().is_empty());
    }
}
