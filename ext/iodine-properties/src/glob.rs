use iodine_proto::glob::Glob;

/// The length of the pattern, the pattern, and the name.
pub(crate) fn matches_as_redis_does(bytes: &[u8]) {
    let (length, rest) = bytes.split_first().unwrap_or((&0, &[]));
    let (pattern, name) = rest.split_at(usize::from(*length % 16).min(rest.len()));
    let name = &name[..name.len().min(16)];
    let expected = if name.is_empty() { pattern.is_empty() } else { matches(pattern, name) };
    assert_eq!(Glob::new(pattern).matches(name), expected, "{} {}", pattern.escape_ascii(), name.escape_ascii());
}

/// By the definition, without a thought of time: many `*` take an exponential one.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some((byte, after)) = name.split_first() else { return pattern.iter().all(|byte| *byte == b'*') };
    match pattern {
        [] => false,
        [b'*', rest @ ..] => matches(rest, name) || matches(pattern, after),
        [b'?', rest @ ..] => matches(rest, after),
        [b'[', b'^', class @ ..] => matches_class(class, *byte, after, false),
        [b'[', class @ ..] => matches_class(class, *byte, after, true),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => literal == byte && matches(rest, after),
    }
}

fn matches_class(mut class: &[u8], byte: u8, after: &[u8], wanted: bool) -> bool {
    let mut found = false;
    loop {
        // Redis compares bytes as signed numbers.
        let (has, rest) = match class {
            [] | [b']', ..] => break,
            [b'\\', literal, rest @ ..] => (*literal == byte, rest),
            [first, b'-', last, rest @ ..] => {
                let (first, last) = (first.cast_signed(), last.cast_signed());
                ((first.min(last)..=first.max(last)).contains(&byte.cast_signed()), rest)
            }
            [literal, rest @ ..] => (*literal == byte, rest),
        };
        found |= has;
        class = rest;
    }
    found == wanted && matches(class.get(1..).unwrap_or_default(), after)
}
