//! The counters of tunnels for monitoring systems.

use std::time::{SystemTime, UNIX_EPOCH};

use super::TunnelStatus;

struct Metric {
    name: &'static str,
    help: &'static str,
    value: Value,
}

enum Value {
    /// Only grows, from the start of the tunnel.
    Counter(fn(&TunnelStatus) -> u64),
    /// Absent if there is nothing to tell.
    Gauge(fn(&TunnelStatus) -> Option<f64>),
}

impl TunnelStatus {
    /// These tunnels, each with labels of its own, in the Prometheus text format 0.0.4.
    ///
    /// All tunnels of a process go into one call, because the format wants the samples of a metric in one place. Their
    /// labels have to differ. A character that a label's name may not have becomes `_`; its value may be anything.
    ///
    /// The metrics are the fields of this struct, named `secure_connector_tunnel_…`. They go out with the content type
    /// `text/plain; version=0.0.4`.
    ///
    /// ```
    /// # fn run(home: &secure_connector::Tunnel, data: &secure_connector::Tunnel) -> String {
    /// use secure_connector::TunnelStatus;
    ///
    /// TunnelStatus::prometheus([
    ///     (&home.status(), [("file_system", "fs-0123456789abcdef0")].as_slice()),
    ///     (&data.status(), &[("file_system", "fs-0123456789abcdef1")]),
    /// ])
    /// # }
    /// ```
    pub fn prometheus<'a>(tunnels: impl IntoIterator<Item = (&'a Self, &'a [(&'a str, &'a str)])>) -> String {
        let tunnels: Vec<_> = tunnels.into_iter().map(|(status, labels)| (status, braced(labels))).collect();
        let mut text = String::new();
        for Metric { name, help, value } in METRICS {
            let samples = tunnels.iter().filter_map(|(status, labels)| Some((labels, value.as_text(status)?)));
            let samples: String = samples.map(|(labels, value)| format!("{name}{labels} {value}\n")).collect();
            if !samples.is_empty() {
                text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n{samples}", value.kind()));
            }
        }
        text
    }

    /// Hands what [`prometheus`](Self::prometheus) writes to the recorder of the `metrics` crate, under the same names.
    ///
    /// These are the values of this moment: call it when the recorder is about to be read, or at intervals. A counter of
    /// that crate never goes back, so that a tunnel which replaces another within the process needs labels of its own.
    #[cfg(feature = "metrics")]
    pub fn publish(&self, labels: &[(&str, &str)]) {
        let label = |(name, value): &(&str, &str)| metrics::Label::new((*name).to_owned(), (*value).to_owned());
        let labels: Vec<metrics::Label> = labels.iter().map(label).collect();
        for Metric { name, help, value } in METRICS {
            match value {
                Value::Counter(read) => {
                    metrics::describe_counter!(*name, *help);
                    metrics::counter!(*name, labels.clone()).absolute(read(self));
                }
                Value::Gauge(read) => {
                    if let Some(value) = read(self) {
                        metrics::describe_gauge!(*name, *help);
                        metrics::gauge!(*name, labels.clone()).set(value);
                    }
                }
            }
        }
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
        }
    }

    fn as_text(&self, status: &TunnelStatus) -> Option<String> {
        match self {
            Self::Counter(read) => Some(read(status).to_string()),
            Self::Gauge(read) => read(status).map(|value| value.to_string()),
        }
    }
}

fn braced(labels: &[(&str, &str)]) -> String {
    let label = |(name, value): &(&str, &str)| {
        let value = value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
        format!(r#"{}="{value}""#, label_name(name))
    };
    match labels {
        [] => String::new(),
        labels => format!("{{{}}}", labels.iter().map(label).collect::<Vec<_>>().join(",")),
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
fn label_name(name: &str) -> String {
    let digit_first = name.starts_with(|first: char| first.is_ascii_digit());
    let prefix = if digit_first || name.is_empty() { "_" } else { "" };
    format!("{prefix}{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

fn unix_seconds(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}

const fn counter(name: &'static str, help: &'static str, read: fn(&TunnelStatus) -> u64) -> Metric {
    Metric { name, help, value: Value::Counter(read) }
}

const fn gauge(name: &'static str, help: &'static str, read: fn(&TunnelStatus) -> Option<f64>) -> Metric {
    Metric { name, help, value: Value::Gauge(read) }
}

macro_rules! named {
    ($name:literal) => {
        concat!("secure_connector_tunnel_", $name)
    };
}

const METRICS: &[Metric] = &[
    gauge(named!("start_time_seconds"), "When the tunnel was started, in Unix time.", |s| unix_seconds(s.started_at)),
    gauge(named!("accepting"), "Whether the tunnel accepts connections: 0 from the moment of a drain.", |s| {
        Some(f64::from(u8::from(s.accepting)))
    }),
    gauge(named!("remote_clients"), "Whether other hosts can connect.", |s| {
        Some(f64::from(u8::from(s.remote_clients)))
    }),
    gauge(named!("connections_active"), "Connections that are open now.", |s| Some(s.active as f64)),
    counter(named!("connections_accepted_total"), "Connections accepted, without those refused and denied.", |s| {
        s.accepted
    }),
    counter(named!("connections_refused_total"), "Connections reset because the limit was reached.", |s| s.refused),
    counter(named!("connections_denied_total"), "Connections reset because their user is not allowed.", |s| s.denied),
    counter(named!("accept_failures_total"), "Failures to accept, such as too many open files.", |s| s.accept_failures),
    counter(named!("upstream_connects_total"), "Attempts to reach the upstream that succeeded.", |s| s.connects_ok),
    counter(named!("upstream_connect_failures_total"), "Attempts to reach the upstream that failed.", |s| {
        s.connects_failed
    }),
    counter(named!("upstream_retries_total"), "Failures after which the attempt was repeated.", |s| s.retried),
    counter(named!("up_bytes_total"), "Bytes written to the upstream.", |s| s.bytes_up),
    counter(named!("down_bytes_total"), "Bytes written to local sides.", |s| s.bytes_down),
    counter(named!("truncated_total"), "Connections whose upstream ended in the middle.", |s| s.truncated),
    counter(named!("unconfirmed_total"), "Connections whose upstream owed its end of stream at the end.", |s| {
        s.unconfirmed
    }),
    counter(named!("local_resets_total"), "Connections reset by the local side.", |s| s.local_resets),
    counter(named!("local_left_total"), "Connections left before the upstream was reached.", |s| s.local_left),
    counter(named!("idle_closed_total"), "Connections ended by the idle timeout.", |s| s.idle_closed),
    counter(named!("close_timeouts_total"), "Half-closed connections ended by the close timeout.", |s| {
        s.close_timeouts
    }),
    gauge(named!("last_error_time_seconds"), "When the latest failure happened, in Unix time.", |s| {
        s.last_error.as_ref().and_then(|last| unix_seconds(last.at))
    }),
];
