//! One request head, parsed and checked.

/// One request head: the request line, the field lines, and what they say about framing.
///
/// A head owns a copy of its bytes in buffers that [`clear`](Head::clear) keeps, so a recycled head allocates nothing.
/// It is filled by [`HeadReader::read`](super::HeadReader::read); one that never was, or was cleared, is empty.
#[derive(Default)]
pub struct Head {
    bytes: Vec<u8>,
    fields: Vec<Field>,
    request: RequestLine,
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
    /// The method as sent, case kept: any token.
    pub fn method(&self) -> &[u8] {
        self.request.method.of(&self.bytes)
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// The path, still percent-encoded. Begins with `/`, or is `*` (OPTIONS only).
    pub fn path(&self) -> &[u8] {
        self.request.path.of(&self.bytes)
    }

    /// The query, still percent-encoded, without its `?`. Empty when there is none.
    pub fn query(&self) -> &[u8] {
        self.request.query.of(&self.bytes)
    }

    /// The version of the request line.
    pub fn version(&self) -> Version {
        self.request.version
    }

    /// The host asked for.
    pub fn host(&self) -> &[u8] {
        self.host.of(&self.bytes)
    }

    /// The port after the host's colon: decimal digits, at most 65535. None when there is none.
    pub fn port(&self) -> Option<&[u8]> {
        self.port.map(|port| port.of(&self.bytes))
    }

    /// The fields in the order of arrival, names as sent.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (field.name.of(&self.bytes), field.value.of(&self.bytes)))
    }

    /// The value of the first field of that name; ASCII case does not matter.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        self.fields().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// How the length of the body is known.
    pub fn body_length(&self) -> BodyLength {
        self.body_length
    }

    /// Whether the client lets the connection serve another request (RFC 9112 section 9.3).
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The protocols the client offers to change to.
    pub fn upgrade(&self) -> Option<&[u8]> {
        self.upgrade.map(|upgrade| upgrade.of(&self.bytes))
    }

    /// Empties the head and keeps its buffers.
    pub fn clear(&mut self) {
        let (mut bytes, mut fields) = (core::mem::take(&mut self.bytes), core::mem::take(&mut self.fields));
        bytes.clear();
        fields.clear();
        *self = Head { bytes, fields, ..Head::default() };
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

#[derive(Clone, Copy, Default)]
struct RequestLine {
    method: Span,
    path: Span,
    query: Span,
    version: Version,
}

#[derive(Clone, Copy)]
struct Field {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}
