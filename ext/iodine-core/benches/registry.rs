//! Who is subscribed to what, at the size of a large server: `cargo bench -p iodine-core`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use iodine_core::pubsub::{Registry, Start, Topic};
use iodine_proto::cluster::Filter;

/// So many channels, each with as many subscribers as make the sum.
fn registry(channels: u64, subscribers: u64) -> Registry<u64> {
    let mut registry = Registry::default();
    for id in 0..subscribers {
        registry.subscribe(&channel(id % channels), id, Start::default(), id);
    }
    registry
}

fn channel(number: u64) -> Topic {
    Topic::channel(format!("channel {number}"))
}

fn count(registry: &Registry<u64>, name: &str) -> u64 {
    let mut found = 0;
    registry.each_subscriber(name.as_bytes(), &Filter::None, |_| found += 1);
    found
}

fn subscribe(criterion: &mut Criterion) {
    let mut registry = registry(10_000, 100_000);
    let mut id = 100_000;
    criterion.bench_function("subscribe and unsubscribe, 100,000 of 10,000 channels", |bencher| {
        bencher.iter(|| {
            id += 1;
            registry.subscribe(&channel(id % 10_000), id, Start::default(), id);
            registry.unsubscribe(black_box(id))
        });
    });
}

fn publish(criterion: &mut Criterion) {
    for channels in [10, 1_000, 100_000] {
        let registry = registry(channels, channels);
        criterion.bench_function(&format!("the one subscriber of a channel, {channels} channels"), |bencher| {
            bencher.iter(|| count(&registry, black_box("channel 7")));
        });
    }
    for patterns in [1, 100] {
        let mut registry = registry(1_000, 1_000);
        for id in 0..patterns {
            registry.subscribe(&Topic::pattern(format!("other.{id}.*")), 1_000_000 + id, Start::default(), id);
        }
        criterion.bench_function(&format!("the one subscriber of a channel, {patterns} patterns"), |bencher| {
            bencher.iter(|| count(&registry, black_box("channel 7")));
        });
    }
}

criterion_group!(benches, subscribe, publish);
criterion_main!(benches);
