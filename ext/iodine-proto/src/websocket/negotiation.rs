//! What the peers agree to about compression (RFC 7692 section 7.1).

use core::fmt;
use core::mem::replace;

use super::extensions::Extension;

/// What is wanted of compression.
///
/// It costs processor time for each message, and memory for each connection that keeps context between messages: 47 KiB to
/// inflate what the peer sends, and 245 KiB (with a window of 9 bits) to 371 KiB (15 bits) to compress what this end sends.
/// The default keeps none: then an idle connection costs nothing, and one [`Deflater`](super::Deflater) serves all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeflateSettings {
    /// The compression of what this end sends. Default: the largest window, no takeover.
    pub outgoing: Window,
    /// The compression of what the peer sends. Default: the largest window, no takeover.
    pub incoming: Window,
    /// The bytes from which on an outgoing message is compressed. Default 1024: less than that is one packet anyhow.
    pub min_size: u32,
    /// How hard to compress: from 1, fast, to 9, small. Default 6. For 3 KB of JSON, 1 takes 8 µs and makes 780 bytes, 6 takes
    /// 21 µs and makes 510, and 9 makes no fewer.
    pub level: u8,
}

/// The compression that both ends agreed to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deflate {
    /// Of what this end sends.
    pub outgoing: Window,
    /// Of what the peer sends.
    pub incoming: Window,
    /// The bytes from which on this end compresses a message, as in [`DeflateSettings`]. The peer is not told.
    pub min_size: u32,
}

/// The compression of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// How far back compressed data may refer.
    pub bits: WindowBits,
    /// Whether it may refer to earlier messages (RFC 7692 section 7.1.1).
    pub takeover: bool,
}

/// The binary logarithm of the bytes that compressed data may refer back to: 8 to 15 (RFC 7692 section 7.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WindowBits(u8);

/// The parameters of an offer or of a response to one. The names are those of the wire.
#[derive(Default)]
struct Parameters {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<WindowBits>,
    client_max_window_bits: Option<Option<WindowBits>>,
}

impl Default for DeflateSettings {
    fn default() -> Self {
        let window = Window { bits: WindowBits::MAX, takeover: false };
        DeflateSettings { outgoing: window, incoming: window, min_size: 1024, level: 6 }
    }
}

impl DeflateSettings {
    /// As a server: what to agree to of the first offer that can be accepted, and the extension to answer with.
    pub(super) fn accept(&self, offers: &[Extension<'_>]) -> Option<(Deflate, String)> {
        let offers = offers.iter().filter(|offer| offer.name == NAME.as_bytes());
        offers.filter_map(Parameters::parse).next().map(|offer| self.accept_offer(&offer))
    }

    fn accept_offer(&self, offer: &Parameters) -> (Deflate, String) {
        let outgoing = Window {
            bits: self.outgoing.bits.min(offer.server_max_window_bits.unwrap_or(WindowBits::MAX)),
            takeover: self.outgoing.takeover && !offer.server_no_context_takeover,
        };
        let incoming = Window {
            bits: match offer.client_max_window_bits {
                // A client that does not offer this would not understand it.
                None => WindowBits::MAX,
                Some(most) => self.incoming.bits.min(most.unwrap_or(WindowBits::MAX)),
            },
            takeover: self.incoming.takeover && !offer.client_no_context_takeover,
        };
        let names_outgoing = offer.server_max_window_bits.is_some() || outgoing.bits < WindowBits::MAX;
        let answer = Parameters {
            server_no_context_takeover: !outgoing.takeover,
            client_no_context_takeover: !incoming.takeover,
            server_max_window_bits: names_outgoing.then_some(outgoing.bits),
            client_max_window_bits: (incoming.bits < WindowBits::MAX).then_some(Some(incoming.bits)),
        };
        (self.agreed(outgoing, incoming), answer.to_string())
    }

    /// As a client: the extension to offer.
    pub(super) fn offer(&self) -> String {
        let names_incoming = self.incoming.bits < WindowBits::MAX;
        let names_outgoing = self.outgoing.bits < WindowBits::MAX;
        let offer = Parameters {
            server_no_context_takeover: !self.incoming.takeover,
            client_no_context_takeover: !self.outgoing.takeover,
            server_max_window_bits: names_incoming.then_some(self.incoming.bits),
            client_max_window_bits: Some(names_outgoing.then_some(self.outgoing.bits)),
        };
        offer.to_string()
    }

    /// As a client: what the server agreed to. `None` if that does not answer the offer (RFC 7692 section 7.1).
    pub(super) fn agree(&self, answer: &Extension<'_>) -> Option<Deflate> {
        let answer = (answer.name == NAME.as_bytes()).then(|| Parameters::parse(answer))??;
        let incoming = Window {
            bits: answer.server_max_window_bits.unwrap_or(WindowBits::MAX),
            takeover: !answer.server_no_context_takeover,
        };
        let is_larger = incoming.bits > self.incoming.bits || incoming.takeover && !self.incoming.takeover;
        let most = match answer.client_max_window_bits {
            None => WindowBits::MAX,
            Some(most) => most?,
        };
        let outgoing = Window {
            bits: self.outgoing.bits.min(most),
            takeover: self.outgoing.takeover && !answer.client_no_context_takeover,
        };
        (!is_larger).then(|| self.agreed(outgoing, incoming))
    }

    fn agreed(&self, outgoing: Window, incoming: Window) -> Deflate {
        Deflate { outgoing: outgoing.usable(), incoming, min_size: self.min_size }
    }
}

impl Window {
    /// The same as far as this end can compress. Deflate has no window of 8 bits in practice; without context, messages of
    /// up to 256 bytes need none.
    fn usable(self) -> Window {
        Window { takeover: self.takeover && self.bits.get() == self.bits.usable(), ..self }
    }
}

impl WindowBits {
    /// 8, which is 256 bytes.
    pub const MIN: WindowBits = WindowBits(8);
    /// 15, which is 32 KiB: all that deflate can refer to.
    pub const MAX: WindowBits = WindowBits(15);

    /// That many bits, if from 8 to 15.
    pub fn new(bits: u8) -> Option<WindowBits> {
        matches!(bits, 8..=15).then_some(WindowBits(bits))
    }

    /// The number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The bits of the smallest window that compressors have and that is not smaller.
    pub(super) fn usable(self) -> u8 {
        self.0.max(9)
    }

    /// A decimal number without leading zeros (RFC 7692 section 7.1.2).
    fn parse(value: &[u8]) -> Option<WindowBits> {
        match value {
            [digit @ b'8'..=b'9'] => Some(WindowBits(digit - b'0')),
            [b'1', digit @ b'0'..=b'5'] => Some(WindowBits(10 + digit - b'0')),
            _ => None,
        }
    }
}

impl Parameters {
    /// `None` if a parameter is unknown, given twice, or has not the value it must have: then an offer is declined, and a
    /// response is an error (RFC 7692 section 7.1).
    fn parse(extension: &Extension<'_>) -> Option<Parameters> {
        let mut parameters = Parameters::default();
        for (name, value) in &extension.parameters {
            parameters.set(name, *value)?;
        }
        Some(parameters)
    }

    fn set(&mut self, name: &[u8], value: Option<&[u8]>) -> Option<()> {
        let is_repeated = match (name, value) {
            (b"server_no_context_takeover", None) => replace(&mut self.server_no_context_takeover, true),
            (b"client_no_context_takeover", None) => replace(&mut self.client_no_context_takeover, true),
            (b"server_max_window_bits", Some(bits)) => {
                self.server_max_window_bits.replace(WindowBits::parse(bits)?).is_some()
            }
            (b"client_max_window_bits", None) => self.client_max_window_bits.replace(None).is_some(),
            (b"client_max_window_bits", Some(bits)) => {
                self.client_max_window_bits.replace(Some(WindowBits::parse(bits)?)).is_some()
            }
            _ => return None,
        };
        (!is_repeated).then_some(())
    }
}

impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={}", bits.get())?;
        }
        match self.client_max_window_bits {
            Some(Some(bits)) => write!(f, "; client_max_window_bits={}", bits.get()),
            Some(None) => f.write_str("; client_max_window_bits"),
            None => Ok(()),
        }
    }
}

/// RFC 7692 section 7.
const NAME: &str = "permessage-deflate";

#[cfg(test)]
mod tests {
    use super::super::extensions;
    use super::*;

    fn window(bits: u8, takeover: bool) -> Window {
        Window { bits: WindowBits::new(bits).unwrap(), takeover }
    }

    fn settings(outgoing: Window, incoming: Window) -> DeflateSettings {
        DeflateSettings { outgoing, incoming, ..DeflateSettings::default() }
    }

    fn keep() -> DeflateSettings {
        settings(window(15, true), window(15, true))
    }

    #[test]
    fn window_bits() {
        for bits in 0..=u8::MAX {
            assert_eq!(WindowBits::new(bits).is_some(), (8..=15).contains(&bits));
            assert_eq!(WindowBits::parse(bits.to_string().as_bytes()), WindowBits::new(bits));
        }
        for bad in ["", "08", "+9", "9 ", "1a", "150"] {
            assert_eq!(WindowBits::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_server_answers_offers() {
        let lean = DeflateSettings::default();
        let small = settings(window(12, true), window(11, true));
        const P: &str = "permessage-deflate";
        const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        // settings, offers, outgoing, incoming, answer
        let table: &[(DeflateSettings, &str, Window, Window, &str)] = &[
            (keep(), P, window(15, true), window(15, true), P),
            (lean, P, window(15, false), window(15, false), BOTH),
            (keep(), BOTH, window(15, false), window(15, false), BOTH),
            (
                keep(),
                "permessage-deflate; client_max_window_bits",
                window(15, true),
                window(15, true),
                "permessage-deflate",
            ),
            (
                keep(),
                "permessage-deflate; client_max_window_bits=10; server_max_window_bits=9",
                window(9, true),
                window(10, true),
                "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
            ),
            (
                keep(),
                "permessage-deflate; server_max_window_bits=15",
                window(15, true),
                window(15, true),
                "permessage-deflate; server_max_window_bits=15",
            ),
            (
                keep(),
                "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
                window(8, false),
                window(8, true),
                "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8",
            ),
            // What the client did not offer is not asked of it.
            (small, P, window(12, true), window(15, true), "permessage-deflate; server_max_window_bits=12"),
            (
                small,
                "permessage-deflate; client_max_window_bits=13",
                window(12, true),
                window(11, true),
                "permessage-deflate; server_max_window_bits=12; client_max_window_bits=11",
            ),
            // The first offer that can be accepted.
            (keep(), "x-webkit-deflate-frame, foo; bar=1, permessage-deflate", window(15, true), window(15, true), P),
            (
                keep(),
                "permessage-deflate; server_max_window_bits=16, permessage-deflate; server_no_context_takeover, \
                 permessage-deflate",
                window(15, false),
                window(15, true),
                "permessage-deflate; server_no_context_takeover",
            ),
            (
                keep(),
                "permessage-deflate; server_max_window_bits=\"10\"",
                window(10, true),
                window(15, true),
                "permessage-deflate; server_max_window_bits=10",
            ),
        ];
        for (settings, offers, outgoing, incoming, answer) in table {
            let offers = extensions::parse([offers.as_bytes()].into_iter()).unwrap();
            let expected = Deflate { outgoing: *outgoing, incoming: *incoming, min_size: 1024 };
            assert_eq!(settings.accept(&offers), Some((expected, (*answer).to_owned())), "{offers:?}");
        }
    }

    #[test]
    fn a_server_declines() {
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflate; unknown",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_no_context_takeover=true",
            "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
            "permessage-deflate; client_max_window_bits=16",
            "permessage-deflate; client_max_window_bits; client_max_window_bits=9",
        ] {
            let offers = extensions::parse([offer.as_bytes()].into_iter()).unwrap();
            assert_eq!(keep().accept(&offers), None, "{offer}");
        }
    }

    #[test]
    fn a_client_checks_the_answer() {
        let small = settings(window(12, true), window(11, false));
        assert_eq!(keep().offer(), "permessage-deflate; client_max_window_bits");
        assert_eq!(
            small.offer(),
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=11; client_max_window_bits=12"
        );
        type Row = (DeflateSettings, &'static str, Option<(Window, Window)>);
        let table: &[Row] = &[
            (keep(), "permessage-deflate", Some((window(15, true), window(15, true)))),
            (
                keep(),
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
                Some((window(15, false), window(15, false))),
            ),
            (
                keep(),
                "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9",
                Some((window(9, true), window(10, true))),
            ),
            (keep(), "permessage-deflate; client_max_window_bits=8", Some((window(8, false), window(15, true)))),
            (keep(), "permessage-deflate; client_max_window_bits", None),
            (keep(), "permessage-deflate; unknown", None),
            (keep(), "permessage-bzip2", None),
            // What was offered must be accepted.
            (small, "permessage-deflate", None),
            (small, "permessage-deflate; server_no_context_takeover", None),
            (small, "permessage-deflate; server_max_window_bits=11", None),
            (small, "permessage-deflate; server_no_context_takeover; server_max_window_bits=12", None),
            (
                small,
                "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
                Some((window(12, true), window(9, false))),
            ),
        ];
        for (settings, answer, expected) in table {
            let answer = extensions::parse([answer.as_bytes()].into_iter()).unwrap();
            let expected = expected.map(|(outgoing, incoming)| Deflate { outgoing, incoming, min_size: 1024 });
            assert_eq!(settings.agree(&answer[0]), expected, "{answer:?}");
        }
    }
}
