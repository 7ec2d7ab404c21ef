use iodine_core::pubsub::redis::{Reply, Server};

/// What is not a reply is an error; what is one comes through another process unchanged.
pub(crate) fn replies_are_read_as_written(bytes: &[u8]) {
    let reply = Reply::decode(bytes);
    let again = Reply::decode(&reply.encode());
    // A NaN is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{reply:?}"));
}

/// A message about a URL never has its password.
pub(crate) fn urls_keep_their_secret(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let secret = "s3cr3t-w0rd";
    if text.contains(secret) {
        return;
    }
    drop(Server::parse(&text));
    for url in [format!("redis://:{secret}@{text}"), format!("rediss://user:{secret}@h{text}")] {
        match Server::parse(&url) {
            Ok(server) => assert!(!server.to_string().contains(secret), "{server}"),
            Err(error) => assert!(!error.to_string().contains(secret), "{error}"),
        }
    }
}
