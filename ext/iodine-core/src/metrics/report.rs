//! All sheets together, as text for Prometheus and as JSON.

use std::fmt::{self, Write};
use std::fs;
use std::sync::atomic::Ordering::Relaxed;

use super::{BOUNDS, BUCKETS, Count, Series, Sheet, sheets};
use crate::census::Kind;

/// A sum over all processes, and what each of them says.
pub(super) struct Report {
    sheets: Vec<(usize, Sheet)>,
}

struct Histogram {
    /// How many were at most as long as each bound, and all.
    cumulative: [u64; BUCKETS],
    /// Seconds.
    sum: f64,
}

const HISTOGRAMS: [(Series, &str, &str); 3] = [
    (Series::Latency, "request", "From the arrival of a request to its answer"),
    (Series::Queue, "queue", "From the arrival of a request to the thread that takes it"),
    (Series::ProxyQueue, "proxy_queue", "From the time in X-Request-Start to the arrival of the request"),
];

impl Report {
    pub(super) fn now() -> Self {
        Self { sheets: sheets().collect() }
    }

    /// The text format of Prometheus, version 0.0.4.
    pub(super) fn prometheus(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let out = &mut text;
        writeln!(out, "# HELP iodine_info The version of the server\n# TYPE iodine_info gauge")?;
        writeln!(out, "iodine_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))?;
        family(out, "requests_total", "counter", "Answers by the first digit of their status")?;
        for class in 1..=5 {
            writeln!(out, "iodine_requests_total{{status=\"{class}xx\"}} {}", self.of_class(class))?;
        }
        for (series, name, help) in HISTOGRAMS {
            family(out, &format!("{name}_seconds"), "histogram", help)?;
            self.histogram(series).prometheus(name, out)?;
        }
        family(out, "connections", "gauge", "Open connections")?;
        for (kind, name) in Kind::NAMES.iter().enumerate() {
            writeln!(out, "iodine_connections{{kind=\"{name}\"}} {}", self.open(kind))?;
        }
        family(out, "connections_total", "counter", "Connections that were opened")?;
        for (kind, name) in Kind::NAMES.iter().enumerate() {
            writeln!(out, "iodine_connections_total{{kind=\"{name}\"}} {}", self.word(Count::Opened as usize + kind))?;
        }
        for (count, name, help) in TOTALS {
            family(out, name, "counter", help)?;
            writeln!(out, "iodine_{name} {}", self.sum(count))?;
        }
        family(out, "workers", "gauge", "Processes that serve")?;
        writeln!(out, "iodine_workers {}", self.workers().count())?;
        self.prometheus_of_workers(out)?;
        Ok(text)
    }

    fn prometheus_of_workers(&self, out: &mut String) -> fmt::Result {
        for (name, kind, help, value) in OF_WORKERS {
            family(out, name, kind, help)?;
            for (number, sheet) in self.workers() {
                if let Some(value) = value(sheet) {
                    let pid = sheet.get(Count::Pid);
                    writeln!(out, "iodine_{name}{{worker=\"{number}\",pid=\"{pid}\"}} {value}")?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn json(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        let out = &mut text;
        write!(out, "{{\"version\":\"{}\",\"requests\":{{", env!("CARGO_PKG_VERSION"))?;
        listed(out, 1..=5, |out, class| write!(out, "\"{class}xx\":{}", self.of_class(class)))?;
        write!(out, "}}")?;
        for (series, name, _) in HISTOGRAMS {
            write!(out, ",\"{name}\":")?;
            self.histogram(series).json(out)?;
        }
        write!(out, ",\"connections\":{{")?;
        listed(out, Kind::NAMES.iter().enumerate(), |out, (kind, name)| {
            let total = self.word(Count::Opened as usize + kind);
            write!(out, "\"{name}\":{{\"open\":{},\"total\":{total}}}", self.open(kind))
        })?;
        write!(out, "}}")?;
        for (count, name, _) in TOTALS {
            write!(out, ",\"{}\":{}", name.trim_end_matches("_total"), self.sum(count))?;
        }
        write!(out, ",\"workers\":[")?;
        listed(out, self.workers(), |out, (number, sheet)| {
            write!(out, "{{\"worker\":{number},\"pid\":{}", sheet.get(Count::Pid))?;
            for (name, _, _, value) in OF_WORKERS {
                let name = name.trim_start_matches("worker_").trim_end_matches("_total");
                match value(sheet) {
                    Some(value) => write!(out, ",\"{name}\":{value}")?,
                    None => write!(out, ",\"{name}\":null")?,
                }
            }
            write!(out, "}}")
        })?;
        write!(out, "]}}")?;
        Ok(text)
    }

    /// Processes that serve now.
    fn workers(&self) -> impl Iterator<Item = (usize, Sheet)> {
        self.sheets.iter().copied().filter(|(_, sheet)| sheet.get(Count::Pid) > 0 && sheet.get(Count::Threads) > 0)
    }

    fn word(&self, at: usize) -> u64 {
        self.sheets.iter().map(|(_, sheet)| sheet.word(at).load(Relaxed)).sum()
    }

    fn sum(&self, count: Count) -> u64 {
        self.word(count as usize)
    }

    fn of_class(&self, class: usize) -> u64 {
        self.sheets.iter().map(|(_, sheet)| sheet.of_class(class)).sum()
    }

    fn open(&self, kind: usize) -> u64 {
        self.word(Count::Open as usize + kind)
    }

    fn histogram(&self, series: Series) -> Histogram {
        let mut total = 0;
        let cumulative = std::array::from_fn(|bucket| {
            total += self.word(series.at() + 1 + bucket);
            total
        });
        Histogram { cumulative, sum: self.word(series.at()) as f64 / 1e6 }
    }
}

const TOTALS: [(Count, &str, &str); 6] = [
    (Count::Published, "published_total", "Messages published"),
    (Count::Delivered, "delivered_total", "Messages given to a subscriber"),
    (Count::Starts, "worker_starts_total", "Workers that were started"),
    (Count::Crashes, "worker_crashes_total", "Workers that ended by a signal or with an error"),
    (Count::Stalls, "worker_stalls_total", "Times that all threads of a worker hung"),
    (Count::Restarts, "restarts_total", "Restarts of all workers"),
];

/// Name, type, help, and the value of a sheet.
type OfWorker = (&'static str, &'static str, &'static str, fn(Sheet) -> Option<f64>);

const OF_WORKERS: [OfWorker; 6] = [
    ("worker_requests_total", "counter", "Answers, of former workers in its place too", |sheet| {
        Some(sheet.requests() as f64)
    }),
    ("worker_resident_bytes", "gauge", "Memory of the process", |sheet| resident(sheet.get(Count::Pid))),
    ("worker_threads", "gauge", "Threads of the application", |sheet| Some(sheet.get(Count::Threads) as f64)),
    ("worker_gc_runs_total", "counter", "Collections of garbage", |sheet| Some(sheet.get(Count::GcRuns) as f64)),
    ("worker_gc_seconds_total", "counter", "Time of those", |sheet| {
        Some(sheet.get(Count::GcMilliseconds) as f64 / 1e3)
    }),
    ("worker_live_objects", "gauge", "Objects of Ruby that live", |sheet| Some(sheet.get(Count::LiveObjects) as f64)),
];

impl Histogram {
    fn count(&self) -> u64 {
        self.cumulative[BUCKETS - 1]
    }

    fn prometheus(&self, name: &str, out: &mut String) -> fmt::Result {
        for (bound, count) in BOUNDS.iter().zip(self.cumulative) {
            writeln!(out, "iodine_{name}_seconds_bucket{{le=\"{}\"}} {count}", *bound as f64 / 1e6)?;
        }
        writeln!(out, "iodine_{name}_seconds_bucket{{le=\"+Inf\"}} {}", self.count())?;
        writeln!(out, "iodine_{name}_seconds_sum {}", self.sum)?;
        writeln!(out, "iodine_{name}_seconds_count {}", self.count())
    }

    fn json(&self, out: &mut String) -> fmt::Result {
        write!(out, "{{\"count\":{},\"seconds\":{},\"at_most\":{{", self.count(), self.sum)?;
        listed(out, BOUNDS.iter().zip(self.cumulative), |out, (bound, count)| {
            write!(out, "\"{}\":{count}", *bound as f64 / 1e6)
        })?;
        write!(out, "}}}}")
    }
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP iodine_{name} {help}\n# TYPE iodine_{name} {kind}")
}

/// Items with commas between them.
fn listed<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    each: impl Fn(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        each(out, item)?;
    }
    Ok(())
}

/// Bytes of memory of a process; `None` where the system does not say.
fn resident(pid: u64) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kibibytes| kibibytes * 1024.0)
}
