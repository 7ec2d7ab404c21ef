//! One request head, parsed and checked.

use httparse::{EMPTY_HEADER, Header};

use super::Refusal;
use super::meaning::Meaning;
use super::request_line::RequestLine;
use super::span::Span;

/// One request head: the request line, the field lines, and what they say about framing.
///
/// A head owns a copy of its bytes in buffers that [`clear`](Head::clear) keeps, so a recycled head allocates nothing.
/// It is filled by [`HeadReader::read`](super::HeadReader::read); before that, and when cleared, it is empty.
#[derive(Default)]
pub struct Head {
    /// The head as it came, from the request line to the empty line. All spans are parts of it.
    bytes: Vec<u8>,
    fields: Vec<Field>,
    line: RequestLine,
    host: Span,
    port: Option<Span>,
    body_length: BodyLength,
    keep_alive: bool,
    expects_continue: bool,
    upgrade: Option<Span>,
}

/// The versions this crate speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How the length of a request body is known (RFC 9112 section 6.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BodyLength {
    /// Neither Content-Length nor Transfer-Encoding: no body.
    #[default]
    None,
    /// Content-Length, in bytes; may be 0.
    Sized(u64),
    /// Transfer-Encoding: chunked.
    Chunked,
}

impl Head {
    /// The bytes as they came, from the request line to the empty line.
    pub fn raw(&self) -> &[u8] {
        &self.bytes
    }

    /// The field lines as they came, with the empty line that ends them.
    pub fn field_lines(&self) -> &[u8] {
        self.bytes.get(self.first_field()..).unwrap_or_default()
    }

    fn first_field(&self) -> usize {
        self.line.length + 2
    }

    /// The method as sent: any token, case kept.
    pub fn method(&self) -> &[u8] {
        self.line.method.of(&self.bytes)
    }

    /// Whether the method is HEAD, whose response has no body.
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// The path, still percent-encoded. Begins with `/`, or is `*` for OPTIONS.
    pub fn path(&self) -> &[u8] {
        self.line.target.path.of(&self.bytes)
    }

    /// The query, still percent-encoded, without its `?`. Empty when there is none.
    pub fn query(&self) -> &[u8] {
        self.line.target.query.of(&self.bytes)
    }

    /// The version of the request line.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The host asked for: that of an absolute target, else that of the Host field (RFC 9112 section 3.2.2). An IPv6
    /// address keeps its brackets. Empty if the Host field is, and for HTTP/1.0 without one.
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.bytes)
    }

    /// Host and port as given: `example.com:8080`.
    pub fn authority(&self) -> &[u8] {
        self.port.map_or(self.host, |port| self.host.through(port)).of(&self.bytes)
    }

    /// The port given with the host: decimal digits, at most 65535.
    pub fn port(&self) -> Option<&[u8]> {
        self.port.map(|port| port.of(&self.bytes))
    }

    /// All fields, name and value, in the order they came: Host, Content-Length and the rest. Names are as sent, values
    /// without the blanks around them.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }

    /// The value of the first field of that name; ASCII case does not matter.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// The values of all fields of that name, in order; ASCII case does not matter.
    pub fn field_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.fields().filter(move |(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// How the length of the body is known.
    pub fn body_length(&self) -> BodyLength {
        self.body_length
    }

    /// Whether the client lets the connection serve another request: in HTTP/1.1 unless it says `close`, in HTTP/1.0 if
    /// it says `keep-alive` (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client may wait for `100 Continue` before it sends the body. Never in HTTP/1.0
    /// (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The protocols the client offers to change to: the first Upgrade field, if the Connection field names it too. Never
    /// in HTTP/1.0 (RFC 9110 section 7.8).
    pub fn upgrade(&self) -> Option<&[u8]> {
        self.upgrade.map(|upgrade| upgrade.of(&self.bytes))
    }

    /// Empties the head. It keeps its buffers, up to 16 KiB and 128 fields.
    pub fn clear(&mut self) {
        let mut bytes = core::mem::take(&mut self.bytes);
        let mut fields = core::mem::take(&mut self.fields);
        bytes.clear();
        bytes.shrink_to(KEPT_BYTES);
        fields.clear();
        fields.shrink_to(KEPT_FIELDS);
        *self = Head { bytes, fields, ..Head::default() };
    }

    /// Takes over a complete head of that many field lines, whose lines and limits were checked. Leaves a half-filled
    /// head on error.
    pub(super) fn fill(&mut self, bytes: &[u8], line: RequestLine, fields: usize) -> Result<(), Refusal> {
        self.clear();
        self.bytes.extend_from_slice(bytes);
        self.line = line;
        // Clearing the array costs more than parsing a few fields, hence two sizes.
        match fields {
            0..=24 => self.read_fields(&mut [EMPTY_HEADER; 24]),
            25..=128 => self.read_fields(&mut [EMPTY_HEADER; 128]),
            _ => self.read_fields(&mut vec![EMPTY_HEADER; fields]),
        }
    }

    /// Becomes a copy of another head.
    pub(super) fn assign(&mut self, other: &Head) {
        let (mut bytes, mut fields) = (core::mem::take(&mut self.bytes), core::mem::take(&mut self.fields));
        bytes.clear();
        bytes.extend_from_slice(&other.bytes);
        fields.clear();
        fields.extend_from_slice(&other.fields);
        *self = Head { bytes, fields, ..*other };
    }

    /// Takes over a complete head whose field lines are those of `known`. What those mean was found out then: it depends
    /// on nothing else but what [`may_repeat`](Head::may_repeat) compares.
    pub(super) fn repeat(&mut self, known: &Head, bytes: &[u8], line: RequestLine) {
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
        self.line = line;
        let (old, new) = (known.first_field(), self.first_field());
        let moved = |span: Span| span.moved(old, new);
        self.fields.clear();
        self.fields
            .extend(known.fields.iter().map(|field| Field { name: moved(field.name), value: moved(field.value) }));
        // An empty host is nowhere.
        self.host = if known.host == Span::default() { known.host } else { moved(known.host) };
        self.port = known.port.map(moved);
        self.body_length = known.body_length;
        self.keep_alive = known.keep_alive;
        self.expects_continue = known.expects_continue;
        self.upgrade = known.upgrade.map(moved);
    }

    /// Whether the field lines of this head mean the same after that request line.
    pub(super) fn may_repeat(&self, line: &RequestLine) -> bool {
        let names_host = |line: &RequestLine| line.target.authority.is_some();
        self.line.version == line.version && !names_host(&self.line) && !names_host(line)
    }

    fn read_fields<'a>(&'a mut self, room: &mut [Header<'a>]) -> Result<(), Refusal> {
        let bytes = &self.bytes[..];
        let block = &bytes[self.first_field()..];
        let httparse::Status::Complete((_, headers)) = httparse::parse_headers(block, room)? else {
            // The reader saw the empty line that ends the block.
            return Err(Refusal::FieldName);
        };
        let mut meaning = Meaning::default();
        for Header { name, value } in headers {
            meaning.note(name, value, bytes)?;
            self.fields.push(Field { name: Span::locate(name.as_bytes(), bytes), value: Span::locate(value, bytes) });
        }
        let version = self.line.version;
        (self.host, self.port) = meaning.host(self.line.target.authority, version)?;
        self.body_length = meaning.body_length(version)?;
        self.keep_alive = meaning.keep_alive(version);
        self.expects_continue = meaning.expects_continue(version);
        self.upgrade = meaning.upgrade(version);
        Ok(())
    }
}

impl Version {
    /// `"HTTP/1.0"` or `"HTTP/1.1"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Http10 => "HTTP/1.0",
            Version::Http11 => "HTTP/1.1",
        }
    }
}

impl From<httparse::Error> for Refusal {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::HeaderValue => Refusal::Control,
            httparse::Error::NewLine => Refusal::LineEnd,
            httparse::Error::TooManyHeaders => Refusal::TooManyFields,
            _ => Refusal::FieldName,
        }
    }
}

#[derive(Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

/// What an idle head may hold on to. Browsers send 1 to 4 KiB.
const KEPT_BYTES: usize = 16 * 1024;
const KEPT_FIELDS: usize = 128;
