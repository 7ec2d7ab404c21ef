//! What Redis answers to a command.

use std::fmt::Display;

use redis::{ServerError, Value, parse_redis_value};

/// A reply, as RESP has it.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+OK`
    Okay,
    /// Nothing: a key that is not there.
    Nil,
    /// A number.
    Integer(i64),
    /// A number of RESP 3.
    Double(f64),
    /// A truth of RESP 3.
    Boolean(bool),
    /// A String, of whatever bytes.
    Bytes(Vec<u8>),
    /// A list, which may hold lists.
    Array(Vec<Reply>),
    /// Keys and values of RESP 3.
    Map(Vec<(Reply, Reply)>),
    /// A refusal: its code and what it says, as in `ERR unknown command`.
    Error(String),
}

impl Reply {
    /// The reply as RESP 3 writes it, for another process of the cluster.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    /// Reads what [`encode`](Self::encode) has written; anything else is an error.
    pub fn decode(bytes: &[u8]) -> Self {
        parse_redis_value(bytes).map_or_else(|_| Self::Error(LOST.into()), Self::from)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Okay => out.extend_from_slice(b"+OK\r\n"),
            Self::Nil => out.extend_from_slice(b"_\r\n"),
            Self::Integer(number) => write_line(out, ':', number),
            Self::Double(number) => write_line(out, ',', number),
            Self::Boolean(truth) => write_line(out, '#', if *truth { 't' } else { 'f' }),
            // With its length: it may have line ends in it, behind which another reply would begin.
            Self::Error(text) => write_sized(out, '!', text.as_bytes()),
            Self::Bytes(bytes) => write_sized(out, '$', bytes),
            Self::Array(replies) => {
                write_line(out, '*', replies.len());
                replies.iter().for_each(|reply| reply.write(out));
            }
            Self::Map(pairs) => {
                write_line(out, '%', pairs.len());
                pairs.iter().flat_map(|(key, value)| [key, value]).for_each(|reply| reply.write(out));
            }
        }
    }
}

fn write_line(out: &mut Vec<u8>, kind: char, content: impl Display) {
    out.extend_from_slice(format!("{kind}{content}\r\n").as_bytes());
}

fn write_sized(out: &mut Vec<u8>, kind: char, content: &[u8]) {
    write_line(out, kind, content.len());
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Okay => Self::Okay,
            Value::Int(number) => Self::Integer(number),
            Value::Double(number) => Self::Double(number),
            Value::Boolean(truth) => Self::Boolean(truth),
            Value::BulkString(bytes) | Value::BigNumber(bytes) => Self::Bytes(bytes),
            Value::SimpleString(text) | Value::VerbatimString { text, .. } => Self::Bytes(text.into_bytes()),
            Value::Array(values) | Value::Set(values) | Value::Push { data: values, .. } => {
                Self::Array(values.into_iter().map(Self::from).collect())
            }
            Value::Map(pairs) => Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect()),
            Value::Attribute { data, .. } => Self::from(*data),
            Value::ServerError(error) => Self::Error(text_of(&error)),
            // `Value` may grow: what is not known yet is nothing that a command of today answers.
            _ => Self::Nil,
        }
    }
}

/// What commands are answered when Redis does not: errors in the form of its own.
pub(super) const LOST: &str = "LOST the connection ended before Redis answered; the command may have been carried out";
pub(super) const FULL: &str = "FULL too much waits for Redis already";
pub(super) const STOPPED: &str = "STOPPED the server has stopped, or stops, before Redis answered";

/// An error as it was sent.
pub(super) fn text_of(error: &ServerError) -> String {
    match error.details() {
        None => error.code().to_owned(),
        Some(details) => format!("{} {details}", error.code()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_keep_their_shape() {
        let bytes = |text: &str| Reply::Bytes(text.into());
        let table = [
            ("+OK\r\n", Reply::Okay),
            ("+PONG\r\n", bytes("PONG")),
            (":-5\r\n", Reply::Integer(-5)),
            ("$3\r\nabc\r\n", bytes("abc")),
            ("$0\r\n\r\n", bytes("")),
            ("$-1\r\n", Reply::Nil),
            ("*-1\r\n", Reply::Nil),
            ("*0\r\n", Reply::Array(vec![])),
            (
                "*2\r\n*1\r\n:1\r\n*1\r\n*1\r\n$1\r\na\r\n",
                Reply::Array(vec![
                    Reply::Array(vec![Reply::Integer(1)]),
                    Reply::Array(vec![Reply::Array(vec![bytes("a")])]),
                ]),
            ),
            ("*2\r\n+OK\r\n-ERR no\r\n", Reply::Array(vec![Reply::Okay, Reply::Error("ERR no".into())])),
            ("-ERR unknown command\r\n", Reply::Error("ERR unknown command".into())),
            ("-WRONGPASS invalid username\r\n", Reply::Error("WRONGPASS invalid username".into())),
            ("-NOAUTH\r\n", Reply::Error("NOAUTH".into())),
            ("!9\r\nERR a\r\nb\n\r\n", Reply::Error("ERR a\r\nb\n".into())),
            (
                "*2\r\n!11\r\nERR\r\n:1\r\n:2\r\n:3\r\n",
                Reply::Array(vec![Reply::Error("ERR\r\n:1\r\n:2".into()), Reply::Integer(3)]),
            ),
            ("%1\r\n+a\r\n:1\r\n", Reply::Map(vec![(bytes("a"), Reply::Integer(1))])),
            ("~1\r\n:1\r\n", Reply::Array(vec![Reply::Integer(1)])),
            (",1.5\r\n", Reply::Double(1.5)),
            ("#t\r\n", Reply::Boolean(true)),
            ("_\r\n", Reply::Nil),
            ("(12345678901234567890\r\n", bytes("12345678901234567890")),
        ];
        for (text, reply) in table {
            let value = redis::parse_redis_value(text.as_bytes()).unwrap();
            assert_eq!(Reply::from(value), reply, "{text:?}");
            assert_eq!(Reply::decode(&reply.encode()), reply, "{text:?}, written and read");
        }
    }
}
