//! Session tickets (RFC 5077; RFC 8446, 4.6.1), whose keys the workers of a cluster have in common.
//!
//! A secret is made before the fork. With every period of the clock the next one follows from it by a hash, and the one
//! before the last is forgotten: all workers have the same keys without a word between them, and who finds one cannot
//! read what was recorded two periods before.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;

use super::error::TlsError;

/// How long a key is used for new tickets, seconds. For as long again its tickets are accepted.
const PERIOD: u64 = 6 * 3600;

/// The secrets of now.
pub(super) struct Secrets(Mutex<Chain>);

struct Chain {
    /// Which period `current` is for.
    period: u64,
    current: [u8; 32],
    previous: Option<[u8; 32]>,
}

/// Makes the tickets of one configuration. Those of another are not accepted: its certificates, or the authorities that
/// its clients are verified by, may not be trusted any more.
pub(super) struct Tickets {
    secrets: Arc<Secrets>,
    configuration: [u8; 32],
}

impl Secrets {
    /// # Errors
    /// When the system has no random numbers.
    pub(super) fn new() -> Result<Self, TlsError> {
        let mut current = [0; 32];
        SystemRandom::new()
            .fill(&mut current)
            .map_err(|_| TlsError::Refused("the system has no random numbers".into()))?;
        Ok(Self(Mutex::new(Chain { period: period_of_now(), current, previous: None })))
    }

    /// The secret of this period, and its number.
    fn current(&self, now: u64) -> (u64, [u8; 32]) {
        let mut chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chain.advance(now);
        (chain.period, chain.current)
    }

    /// The secret of a period, unless that is over.
    fn of(&self, period: u64, now: u64) -> Option<[u8; 32]> {
        let mut chain = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        chain.advance(now);
        if period == chain.period {
            Some(chain.current)
        } else if period + 1 == chain.period {
            chain.previous
        } else {
            None
        }
    }
}

impl Chain {
    /// A clock that was set back changes nothing.
    fn advance(&mut self, now: u64) {
        while self.period < now {
            let next = derive(&self.current, b"the next period", &[]);
            self.previous = Some(std::mem::replace(&mut self.current, next));
            self.period += 1;
        }
    }
}

impl Tickets {
    /// `configuration` is what tickets stand for.
    pub(super) fn new(secrets: Arc<Secrets>, configuration: [u8; 32]) -> Self {
        Self { secrets, configuration }
    }

    fn key(&self, secret: &[u8; 32]) -> Option<LessSafeKey> {
        let key = derive(secret, b"session tickets", &self.configuration);
        UnboundKey::new(&AES_256_GCM, &key).ok().map(LessSafeKey::new)
    }

    fn seal(&self, state: &[u8], now: u64) -> Option<Vec<u8>> {
        let (period, secret) = self.secrets.current(now);
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let mut sealed = state.to_vec();
        let aad = Aad::from(period.to_be_bytes());
        self.key(&secret)?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        Some([&period.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    fn open(&self, ticket: &[u8], now: u64) -> Option<Vec<u8>> {
        let (period, rest) = ticket.split_first_chunk::<8>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let secret = self.secrets.of(u64::from_be_bytes(*period), now)?;
        let mut state = sealed.to_vec();
        let opened = self
            .key(&secret)?
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(*period), &mut state)
            .ok()?
            .len();
        state.truncate(opened);
        Some(state)
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        PERIOD as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain, period_of_now())
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher, period_of_now())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Tickets")
    }
}

fn period_of_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / PERIOD)
}

fn derive(secret: &[u8; 32], purpose: &[u8], context: &[u8]) -> [u8; 32] {
    let mut derivation = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    derivation.update(purpose);
    derivation.update(context);
    let mut derived = [0; 32];
    derived.copy_from_slice(derivation.sign().as_ref());
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (Arc<Secrets>, u64) {
        let secrets = Secrets::new().unwrap();
        let period = secrets.0.lock().unwrap().period;
        (Arc::new(secrets), period)
    }

    /// What a fork makes of it.
    fn copy(secrets: &Secrets) -> Arc<Secrets> {
        let chain = secrets.0.lock().unwrap();
        Arc::new(Secrets(Mutex::new(Chain { period: chain.period, current: chain.current, previous: chain.previous })))
    }

    #[test]
    fn another_worker_opens_what_one_has_sealed_in_this_period_and_the_next() {
        let (secrets, now) = secrets();
        let here = Tickets::new(Arc::clone(&secrets), [1; 32]);
        let there = Tickets::new(copy(&secrets), [1; 32]);
        let ticket = here.seal(b"state", now + 3).unwrap();
        assert_ne!(ticket, here.seal(b"state", now + 3).unwrap());
        assert_eq!(there.open(&ticket, now + 3).unwrap(), b"state");
        assert_eq!(there.open(&ticket, now + 4).unwrap(), b"state");
        assert_eq!(there.open(&ticket, now + 5), None);
        assert_eq!(here.open(&there.seal(b"newer", now + 5).unwrap(), now + 5).unwrap(), b"newer");
    }

    #[test]
    fn a_clock_that_was_set_back_changes_nothing() {
        let (secrets, now) = secrets();
        let tickets = Tickets::new(secrets, [1; 32]);
        let ticket = tickets.seal(b"state", now + 9).unwrap();
        assert_eq!(tickets.open(&ticket, now).unwrap(), b"state");
    }

    #[test]
    fn tickets_of_another_configuration_and_damaged_ones_are_not_opened() {
        let (secrets, now) = secrets();
        let tickets = Tickets::new(Arc::clone(&secrets), [1; 32]);
        let ticket = tickets.seal(b"state", now).unwrap();
        assert_eq!(Tickets::new(secrets, [2; 32]).open(&ticket, now), None);
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(tickets.open(&damaged, now), None, "byte {at}");
            assert_eq!(tickets.open(&ticket[..at], now), None, "{at} bytes");
        }
    }
}
