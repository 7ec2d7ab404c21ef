//! Patterns of channel names, exactly as Redis matches them (its `PSUBSCRIBE`).

/// A pattern, read once and matched often.
///
/// - `*` is any run of bytes, `?` any one byte.
/// - `[abc]` and `[a-z]` are one byte of several, `[^abc]` one byte that is none of them.
/// - `\` takes the meaning from what follows, also within brackets.
///
/// What follows from how Redis reads patterns: a class that is not closed ends with the pattern, `[]` matches nothing and
/// `[^]` every byte, a range may be written backwards, its bytes from 128 on come before all others, and a `\` at the end
/// stands for itself. The empty name is matched by the empty pattern alone.
///
/// ```
/// use iodine_proto::glob::Glob;
///
/// let glob = Glob::new(b"news.[a-f]*");
/// assert!(glob.matches(b"news.art"));
/// assert!(!glob.matches(b"news.sport"));
/// ```
#[derive(Clone, Debug)]
pub struct Glob(Vec<Token>);

#[derive(Clone, Debug)]
enum Token {
    /// Never followed by another one.
    Run,
    Any,
    Byte(u8),
    Class(Box<Class>),
}

/// A set of bytes.
#[derive(Clone, Debug, Default)]
struct Class {
    bits: [u64; 4],
    is_negated: bool,
}

impl Glob {
    /// Reads a pattern. Every sequence of bytes is one.
    pub fn new(mut pattern: &[u8]) -> Glob {
        let mut tokens = Vec::with_capacity(pattern.len());
        while let [first, rest @ ..] = pattern {
            pattern = rest;
            match first {
                b'*' if matches!(tokens.last(), Some(Token::Run)) => {}
                b'*' => tokens.push(Token::Run),
                b'?' => tokens.push(Token::Any),
                b'[' => tokens.push(Token::Class(Box::new(Class::read(&mut pattern)))),
                b'\\' => {
                    let (byte, rest) = pattern.split_first().unwrap_or((first, &[]));
                    pattern = rest;
                    tokens.push(Token::Byte(*byte));
                }
                byte => tokens.push(Token::Byte(*byte)),
            }
        }
        Glob(tokens)
    }

    /// Whether the whole name is as the pattern says. Takes time in proportion to the lengths of both, multiplied.
    pub fn matches(&self, name: &[u8]) -> bool {
        if name.is_empty() {
            return self.0.is_empty();
        }
        let (mut token, mut byte) = (0, 0);
        // Behind the last run, and the first byte that it does not cover yet: where to go on when the rest fails.
        let mut retry = None;
        loop {
            match (self.0.get(token), name.get(byte)) {
                (Some(Token::Run), _) => {
                    token += 1;
                    retry = Some((token, byte));
                    continue;
                }
                (None, None) => return true,
                (Some(one), Some(actual)) if one.takes(*actual) => {
                    token += 1;
                    byte += 1;
                    continue;
                }
                (Some(_), None) => return false,
                _ => {}
            }
            let Some((behind, covered)) = &mut retry else { return false };
            *covered += 1;
            (token, byte) = (*behind, *covered);
        }
    }
}

impl Token {
    fn takes(&self, byte: u8) -> bool {
        match self {
            Token::Run => false,
            Token::Any => true,
            Token::Byte(expected) => *expected == byte,
            Token::Class(class) => class.has(byte) != class.is_negated,
        }
    }
}

impl Class {
    /// Takes a class, whose bracket was opened, from the start of the pattern.
    fn read(pattern: &mut &[u8]) -> Class {
        let mut class = Class::default();
        if let [b'^', rest @ ..] = pattern {
            class.is_negated = true;
            *pattern = rest;
        }
        loop {
            *pattern = match *pattern {
                [] => return class,
                [b'\\', byte, rest @ ..] => class.add(*byte, rest),
                [b']', rest @ ..] => {
                    *pattern = rest;
                    return class;
                }
                [first, b'-', last, rest @ ..] => class.add_range(*first, *last, rest),
                [byte, rest @ ..] => class.add(*byte, rest),
            };
        }
    }

    fn add<'a>(&mut self, byte: u8, rest: &'a [u8]) -> &'a [u8] {
        self.bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
        rest
    }

    /// Redis compares the bounds as C's `char`, which has a sign.
    fn add_range<'a>(&mut self, first: u8, last: u8, rest: &'a [u8]) -> &'a [u8] {
        let (first, last) = (first as i8, last as i8);
        for byte in first.min(last)..=first.max(last) {
            self.add(byte as u8, rest);
        }
        rest
    }

    fn has(&self, byte: u8) -> bool {
        self.bits[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_match_and_names_that_do_not() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("", &[""], &["a"]),
            ("news", &["news"], &["", "new", "newss", "News", "xnews"]),
            ("*", &["a", "a.b", "*", "\n"], &[""]),
            ("**", &["a"], &[""]),
            ("a*", &["a", "ab", "a*"], &["", "b", "ba"]),
            ("*a", &["a", "ba", "aa"], &["", "ab"]),
            ("a*b", &["ab", "axb", "abab", "aab"], &["a", "aba", "b"]),
            ("*a*b*", &["ab", "xaxbx", "aabb"], &["ba", "a", "b", ""]),
            ("a**b", &["ab", "axxb"], &["a"]),
            ("a?c", &["abc", "a?c", "a.c"], &["ac", "abbc", "aéc"]),
            ("?", &["a"], &["", "ab"]),
            ("[abc]", &["a", "b", "c"], &["", "d", "ab", "[abc]"]),
            ("[a-c]x", &["ax", "bx", "cx"], &["dx", "-x", "x"]),
            ("[c-a]", &["a", "b", "c"], &["d"]),
            ("[^a-c]", &["d", "^"], &["a", "b", "c", ""]),
            ("[a^]", &["a", "^"], &["b"]),
            ("[\\]a]", &["]", "a"], &["\\", "b"]),
            ("[\\a-c]", &["a", "-", "c"], &["b", "\\"]),
            ("[a-]", &["a", "`", "_", "^", "]"], &["-", "b"]),
            ("[-a]", &["-", "a"], &["b"]),
            ("[]", &[], &["", "]", "[", "a"]),
            ("[]a]", &[], &["]", "a", "]a"]),
            ("[^]", &["]", "a"], &["", "ab"]),
            ("[", &[], &["[", "a"]),
            ("[ab", &["a", "b"], &["[ab", "c", "ab"]),
            ("[^", &["a", "["], &["", "ab"]),
            ("[a\\", &["a", "\\"], &["b"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("\\a", &["a"], &["\\a"]),
            ("\\", &["\\"], &["", "a"]),
            ("\\\\", &["\\"], &["\\\\"]),
            ("a\\", &["a\\"], &["a"]),
            ("chat.*.[0-9][0-9]", &["chat.x.42", "chat..00"], &["chat.x.4", "chat.42"]),
        ];
        for (pattern, accepted, refused) in table {
            let glob = Glob::new(pattern.as_bytes());
            for name in *accepted {
                assert!(glob.matches(name.as_bytes()), "{pattern:?} should match {name:?}");
            }
            for name in *refused {
                assert!(!glob.matches(name.as_bytes()), "{pattern:?} should not match {name:?}");
            }
        }
    }

    #[test]
    fn bytes_have_a_sign() {
        let glob = Glob::new(b"[a-\xff]");
        assert!(glob.matches(b"a") && glob.matches(b"\x00") && glob.matches(b"\xff"));
        assert!(!glob.matches(b"b") && !glob.matches(b"\x80"));
        assert!(Glob::new(b"[\x80-\xff]").matches(b"\xc3"));
    }

    #[test]
    fn runs_that_fail_take_no_exponential_time() {
        let glob = Glob::new("a*".repeat(50).as_bytes());
        let mut name = vec![b'a'; 5_000];
        assert!(glob.matches(&name));
        name.push(b'b');
        assert!(!Glob::new(("a*".repeat(50) + "c").as_bytes()).matches(&name));
    }
}
