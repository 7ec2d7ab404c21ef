//! The answers of the listener for metrics. The memory of sheets is one for a process, so this is one test.

#![allow(clippy::unwrap_used)]

mod world;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use iodine_core::metrics::{self, Count, Sheet, WORDS};
use iodine_core::settings::HttpSettings;

use world::World;

impl World {
    fn get(&mut self, request: &str) -> (String, String) {
        self.say(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let heard = self.heard();
        let (head, body) = heard.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

#[test]
fn sheets_are_told_together() {
    assert!(metrics::shared().is_none());
    // Nobody shares this one.
    Sheet::numbered(0).set(Count::Starts, 99);
    metrics::share(Vec::from_iter((0..4 * WORDS).map(|_| AtomicU64::new(0))).leak());
    assert_eq!(metrics::shared().map(<[_]>::len), Some(4 * WORDS));
    let (master, worker, former) = (Sheet::numbered(0), Sheet::numbered(1), Sheet::numbered(2));
    master.begin(1, 1000);
    master.set(Count::Starts, 3);
    worker.begin(u64::from(std::process::id()), 1001);
    worker.set(Count::Threads, 5);
    worker.set(Count::GcMilliseconds, 1500);
    worker.add(Count::Published, 4);
    former.begin(3, 1002);
    former.set(Count::Threads, 9);
    former.add(Count::Published, 1);
    former.end();
    // One was at most a millisecond, one was longer than any bound.
    worker.note_queue(Duration::from_micros(600));
    worker.note_queue(Duration::from_secs(20));
    assert_eq!((worker.requests(), former.get(Count::Threads)), (0, 0));

    // Ruby names what it counts.
    let named = [
        ("pid", u64::from(std::process::id())),
        ("started_at", 1001),
        ("threads", 5),
        ("gc_milliseconds", 1500),
        ("beat", 0),
        ("stalled_since", 0),
        ("gc_runs", 0),
        ("live_objects", 0),
        ("starts", 0),
        ("crashes", 0),
        ("stalls", 0),
        ("restarts", 0),
    ];
    for (name, value) in named {
        assert_eq!(Count::named(name).map(|count| worker.get(count)), Some(value), "{name}");
    }
    assert_eq!(Count::named("requests"), None, "that is the server's to count");
    assert!(!metrics::measures_times());
    metrics::measure_times();
    assert!(metrics::measures_times());

    let mut world = World::with(HttpSettings { metrics: true, ..HttpSettings::default() });
    let (head, body) = world.get("GET /metrics");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    let lines: Vec<&str> = body.lines().collect();
    let pid = std::process::id();
    for line in [
        "iodine_requests_total{status=\"2xx\"} 0",
        "iodine_queue_seconds_bucket{le=\"0.0005\"} 0",
        "iodine_queue_seconds_bucket{le=\"0.001\"} 1",
        "iodine_queue_seconds_bucket{le=\"10\"} 1",
        "iodine_queue_seconds_bucket{le=\"+Inf\"} 2",
        "iodine_queue_seconds_sum 20.0006",
        "iodine_queue_seconds_count 2",
        "iodine_connections{kind=\"websocket\"} 0",
        "iodine_published_total 5",
        "iodine_worker_starts_total 3",
        "iodine_workers 1",
        &format!("iodine_worker_threads{{worker=\"1\",pid=\"{pid}\"}} 5"),
        &format!("iodine_worker_gc_seconds_total{{worker=\"1\",pid=\"{pid}\"}} 1.5"),
    ] {
        assert!(lines.contains(&line), "{line} in\n{body}");
    }
    // Every number has a family, which is described once.
    for line in lines.iter().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let types = lines.iter().filter(|other| other.starts_with(&format!("# TYPE {family} "))).count();
        assert_eq!(types, 1, "{line}");
    }

    let (head, body) = world.get("GET /metrics.json");
    assert!(head.contains("application/json"), "{head}");
    assert!(body.contains("\"published\":5") && body.contains("\"worker\":1") && body.contains("\"gc_seconds\":1.5"));
    assert!(body.contains("\"0.001\":1") && body.contains("\"websocket\":{\"open\":0,\"total\":0}"), "{body}");
    assert_eq!(body.matches(['{', '[']).count(), body.matches(['}', ']']).count(), "{body}");

    for (request, status, has_body) in [
        ("GET /", "200", true),
        ("HEAD /metrics", "200", false),
        ("POST /metrics", "405", true),
        ("GET /other", "404", true),
    ] {
        let (head, body) = world.get(request);
        assert_eq!((&head[9..12], !body.is_empty()), (status, has_body), "{request}");
    }
}
