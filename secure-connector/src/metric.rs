//! Status values for monitoring systems.

use std::time::{SystemTime, UNIX_EPOCH};

/// A value for monitoring systems that is read from a status of type `S`.
///
/// ```
/// use secure_connector::Metric;
///
/// struct Status {
///     open: u32,
///     opened: u64,
/// }
///
/// const METRICS: &[Metric<Status>] = &[
///     Metric::gauge("pool_open", "Connections that are open now.", |s| Some(f64::from(s.open))),
///     Metric::counter("pool_opened_total", "Connections opened so far.", |s| s.opened),
/// ];
///
/// let status = Status { open: 2, opened: 9 };
/// let text = Metric::prometheus(METRICS, [(&status, [("pool", "a")].as_slice())]);
/// assert!(text.ends_with("pool_opened_total{pool=\"a\"} 9\n"));
/// ```
#[derive(Debug)]
pub struct Metric<S> {
    name: &'static str,
    help: &'static str,
    value: Value<S>,
}

#[derive(Debug)]
enum Value<S> {
    Counter(fn(&S) -> u64),
    Gauge(fn(&S) -> Option<f64>),
}

impl<S> Metric<S> {
    /// A number that only grows for as long as its source lives. By convention its name ends in `_total`.
    pub const fn counter(name: &'static str, help: &'static str, read: fn(&S) -> u64) -> Self {
        Self { name, help, value: Value::Counter(read) }
    }

    /// A number that goes up and down; absent where there is nothing to tell.
    pub const fn gauge(name: &'static str, help: &'static str, read: fn(&S) -> Option<f64>) -> Self {
        Self { name, help, value: Value::Gauge(read) }
    }

    /// `sources`, each with labels of its own, in the Prometheus text format 0.0.4.
    ///
    /// All sources of a process go into one call, because the format wants the samples of a metric in one place. Their
    /// labels have to differ. A character that a label's name may not have becomes `_`; its value may be anything. The
    /// text goes out with the content type `text/plain; version=0.0.4`.
    pub fn prometheus<'a>(
        metrics: &[Self],
        sources: impl IntoIterator<Item = (&'a S, &'a [(&'a str, &'a str)])>,
    ) -> String
    where
        S: 'a,
    {
        let sources: Vec<_> = sources.into_iter().map(|(status, labels)| (status, braced(labels))).collect();
        let mut text = String::new();
        for Self { name, help, value } in metrics {
            let samples = sources.iter().filter_map(|(status, labels)| Some((labels, value.as_text(status)?)));
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
    /// that crate never goes back, so that a source which replaces another within the process needs labels of its own.
    #[cfg(feature = "metrics")]
    pub fn publish(metrics: &[Self], status: &S, labels: &[(&str, &str)]) {
        let label = |(name, value): &(&str, &str)| metrics::Label::new((*name).to_owned(), (*value).to_owned());
        let labels: Vec<metrics::Label> = labels.iter().map(label).collect();
        for Self { name, help, value } in metrics {
            match value {
                Value::Counter(read) => {
                    metrics::describe_counter!(*name, *help);
                    metrics::counter!(*name, labels.clone()).absolute(read(status));
                }
                Value::Gauge(read) => {
                    if let Some(value) = read(status) {
                        metrics::describe_gauge!(*name, *help);
                        metrics::gauge!(*name, labels.clone()).set(value);
                    }
                }
            }
        }
    }
}

impl<S> Value<S> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Counter(_) => "counter",
            Self::Gauge(_) => "gauge",
        }
    }

    fn as_text(&self, status: &S) -> Option<String> {
        match self {
            Self::Counter(read) => Some(read(status).to_string()),
            Self::Gauge(read) => read(status).map(|value| value.to_string()),
        }
    }
}

/// Seconds since 1970-01-01 UTC, as monitoring systems count; `None` for earlier times.
pub fn unix_seconds(at: SystemTime) -> Option<f64> {
    at.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
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
