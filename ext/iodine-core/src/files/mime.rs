//! What kind of content a file has, told from its name.

use std::collections::HashMap;

/// Media types by file extension: those of the `mime_guess` table, and what the user has added.
#[derive(Clone, Debug, Default)]
pub struct MimeTypes(HashMap<String, String>);

impl MimeTypes {
    /// What a file of an unknown extension is.
    pub const UNKNOWN: &'static str = "application/octet-stream";

    /// Adds or replaces the type of an extension, given with or without its dot, in any case.
    ///
    /// # Errors
    /// When `media_type` cannot be the value of a header field.
    pub fn add(&mut self, extension: &str, media_type: &str) -> Result<(), String> {
        if media_type.is_empty() || !media_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(format!("the media type of {extension:?} is no header value: {media_type:?}"));
        }
        self.0.insert(extension.trim_start_matches('.').to_ascii_lowercase(), media_type.to_owned());
        Ok(())
    }

    /// The type of the file of that name or path.
    pub fn of(&self, name: &[u8]) -> &str {
        let Some(extension) = extension(name) else { return Self::UNKNOWN };
        let extension = &extension.to_ascii_lowercase()[..];
        match (self.0.get(extension), extension) {
            (Some(media_type), _) => media_type,
            // RFC 9239; the table has an older name for it.
            (None, "mjs") => "text/javascript",
            _ => mime_guess::from_ext(extension).first_raw().unwrap_or(Self::UNKNOWN),
        }
    }
}

/// Whether the name has a fingerprint of the content in it, as build tools write it: at least eight hexadecimal digits,
/// letters and figures among them, between `-` or `.` and the extension. Such a file never changes under its name.
///
/// Eight figures alone are a date.
pub(super) fn is_fingerprinted(name: &[u8]) -> bool {
    let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
    let mut parts: Vec<_> = name.split(|byte| matches!(byte, b'-' | b'.' | b'_')).collect();
    // Neither the first part nor the extension.
    parts.pop();
    parts.iter().skip(1).any(|part| {
        part.len() >= FINGERPRINT
            && part.iter().all(u8::is_ascii_hexdigit)
            && part.iter().any(u8::is_ascii_digit)
            && part.iter().any(u8::is_ascii_alphabetic)
    })
}

/// Digits of the shortest fingerprint.
const FINGERPRINT: usize = 8;

/// What follows the last dot of the name, unless that is its first byte.
fn extension(path: &[u8]) -> Option<&str> {
    let name = path.rsplit(|byte| *byte == b'/').next()?;
    let dot = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0)?;
    str::from_utf8(&name[dot + 1..]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_from_the_extension() {
        let table: &[(&str, &str)] = &[
            ("index.html", "text/html"),
            ("a/b.HTM", "text/html"),
            ("app.css", "text/css"),
            ("app.min.js", "text/javascript"),
            ("m.mjs", "text/javascript"),
            ("x.json", "application/json"),
            ("x.svg", "image/svg+xml"),
            ("x.wasm", "application/wasm"),
            ("x.woff2", "font/woff2"),
            ("x.avif", "image/avif"),
            ("x.webp", "image/webp"),
            ("x.txt", "text/plain"),
            ("x.pdf", "application/pdf"),
            ("noextension", MimeTypes::UNKNOWN),
            (".html", MimeTypes::UNKNOWN),
            ("a.html/b", MimeTypes::UNKNOWN),
            ("x.nonesuch", MimeTypes::UNKNOWN),
            ("x.", MimeTypes::UNKNOWN),
        ];
        for (name, media_type) in table {
            assert_eq!(MimeTypes::default().of(name.as_bytes()), *media_type, "{name}");
        }
        assert_eq!(MimeTypes::default().of(b"x.\xff"), MimeTypes::UNKNOWN);
    }

    #[test]
    fn the_user_adds_and_replaces() {
        let mut types = MimeTypes::default();
        types.add(".TPL", "text/x-template").unwrap();
        types.add("html", "text/html; charset=utf-8").unwrap();
        assert_eq!(types.of(b"a.tpl"), "text/x-template");
        assert_eq!(types.of(b"a.html"), "text/html; charset=utf-8");
        assert!(types.add("x", "a\r\nb: c").is_err());
        assert!(types.add("x", "").is_err());
    }

    #[test]
    fn fingerprints() {
        for name in ["app-0a1b2c3d.js", "a/b/app.0123456789abcdef.chunk.css", "x-908e25f4bf641868d8683022a5b62f54.png"]
        {
            assert!(is_fingerprinted(name.as_bytes()), "{name}");
        }
        for name in [
            "app.js",
            "report-20261123.pdf",
            "app-0a1b2c3.js",
            "the-facade.html",
            "x-deadbeef.js",
            "0a1b2c3d.js",
            "0a1b2c3d-folder/app.js",
            "app-0a1b2c3g.js",
            "app.0a1b2c3d",
        ] {
            assert!(!is_fingerprinted(name.as_bytes()), "{name}");
        }
    }
}
