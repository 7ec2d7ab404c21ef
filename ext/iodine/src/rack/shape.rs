//! Environments of requests that have the same header fields.
//!
//! Clients repeat themselves: on a connection that is kept, and often on many, one request's fields are those of the
//! request before. A shape is the environment of such requests without what each has of its own.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use iodine_core::exchange::Exchange;
use magnus::prelude::*;
use magnus::{RHash, Ruby, Value};

use super::fixed::Fixed;
use crate::roots::Root;

/// Shapes that are kept at most.
const SHAPES: usize = 128;
/// Larger header blocks get no shape, which bounds the memory of all of them to some 512 KiB.
const LARGEST: usize = 2 << 10;

/// Shapes by the hash of what makes them: one place for each hash, for the last that came twice.
pub(super) struct Shapes {
    places: Box<[Place]>,
    hasher: RandomState,
}

#[derive(Default)]
struct Place {
    shape: Option<Shape>,
    /// The hash of the last request that found no shape here. What comes once gets none.
    missed: u64,
}

/// Where the shape of a request would be.
#[derive(Clone, Copy)]
pub(super) struct Vacancy {
    hash: u64,
    application: usize,
    wanted: bool,
}

/// What requests have in common.
pub(super) struct Shape {
    hash: u64,
    application: usize,
    peer: Box<str>,
    authority: Box<[u8]>,
    fields: Box<[u8]>,
    env: Root,
    proxied: bool,
    takes_events: bool,
    changing: Vec<Changing>,
}

/// A field whose value an application may change in place, so that every request has its own String of it.
struct Changing {
    key: Fixed,
    /// Where the value is within the header block.
    start: usize,
    length: usize,
}

/// What the header fields say beyond themselves.
pub(super) struct Seen {
    /// `http` or `https`, from a proxy in front.
    pub(super) scheme: Option<Fixed>,
    /// A proxy is in front. Some of them take an interim response for the final one, so they get none.
    pub(super) proxied: bool,
    /// The client takes an event stream.
    pub(super) takes_events: bool,
    /// No field came twice, and none has a name that is not remembered.
    pub(super) is_plain: bool,
    changing: Vec<Changing>,
}

impl Default for Shapes {
    fn default() -> Self {
        let places = std::iter::repeat_with(Place::default).take(SHAPES).collect();
        Self { places, hasher: RandomState::default() }
    }
}

impl Shapes {
    /// The shape of a request, or where it would be.
    pub(super) fn find(&mut self, exchange: &Exchange, application: usize) -> Result<&Shape, Vacancy> {
        let hash = self.hash(exchange, application);
        let place = &mut self.places[index(hash)];
        match &place.shape {
            // Asked twice, because a borrow that is returned from one arm would last through the other.
            Some(shape) if shape.fits(hash, exchange, application) => {}
            _ => {
                let wanted = place.missed == hash;
                place.missed = hash;
                return Err(Vacancy { hash, application, wanted });
            }
        }
        place.shape.as_ref().ok_or(Vacancy { hash, application, wanted: false })
    }

    /// Keeps the shape of a request that came for the second time. `env` makes its environment.
    pub(super) fn keep(&mut self, vacancy: Vacancy, exchange: &Exchange, seen: Seen, env: impl FnOnce() -> RHash) {
        let fields = exchange.head.field_lines();
        if !vacancy.wanted || !seen.is_plain || fields.len() > LARGEST {
            return;
        }
        self.places[index(vacancy.hash)].shape = Some(Shape {
            hash: vacancy.hash,
            application: vacancy.application,
            peer: exchange.peer.as_deref().unwrap_or_default().into(),
            authority: exchange.head.authority().into(),
            fields: fields.into(),
            env: Root::new(env().as_value()),
            proxied: seen.proxied,
            takes_events: seen.takes_events,
            changing: seen.changing,
        });
    }

    fn hash(&self, exchange: &Exchange, application: usize) -> u64 {
        self.hasher.hash_one((exchange.head.field_lines(), exchange.peer.as_deref(), application))
    }
}

fn index(hash: u64) -> usize {
    hash as usize % SHAPES
}

impl Shape {
    /// The environment, to be copied.
    pub(super) fn env(&self, ruby: &Ruby) -> Value {
        self.env.value(ruby)
    }

    pub(super) fn is_proxied(&self) -> bool {
        self.proxied
    }

    pub(super) fn takes_events(&self) -> bool {
        self.takes_events
    }

    /// Gives `set` a new String for every field that has to have one.
    pub(super) fn renew(&self, ruby: &Ruby, exchange: &Exchange, set: impl Fn(Fixed, Value)) {
        let fields = exchange.head.field_lines();
        for changing in &self.changing {
            let value = &fields[changing.start..][..changing.length];
            set(changing.key, ruby.str_from_slice(value).as_value());
        }
    }

    fn fits(&self, hash: u64, exchange: &Exchange, application: usize) -> bool {
        self.hash == hash
            && *self.fields == *exchange.head.field_lines()
            && self.application == application
            && *self.peer == *exchange.peer.as_deref().unwrap_or_default()
            && *self.authority == *exchange.head.authority()
    }
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { scheme: None, proxied: false, takes_events: false, is_plain: true, changing: Vec::new() }
    }

    /// A field whose value the next request shall have a String of its own of.
    pub(super) fn note_changing(&mut self, key: Option<Fixed>, value: &[u8], exchange: &Exchange) {
        match key {
            Some(key) => {
                let start = value.as_ptr().addr() - exchange.head.field_lines().as_ptr().addr();
                self.changing.push(Changing { key, start, length: value.len() });
            }
            None => self.is_plain = false,
        }
    }
}
