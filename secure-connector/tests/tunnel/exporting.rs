//! Counters for monitoring systems.

use std::time::{Duration, UNIX_EPOCH};

use secure_connector::{Tunnel, TunnelStatus};

use super::double::{Answer, Double, assert_reset_after, dial, next_close, reachable, read_all};

/// A status with a value of its own for each metric, and no error yet.
async fn status() -> TunnelStatus {
    let mut status = reachable().0.start().await.unwrap().status();
    status.started_at = UNIX_EPOCH + Duration::from_millis(1_709_618_828_250);
    status.accepting = false;
    status.remote_clients = true;
    status.active = 1;
    let counters = [
        &mut status.accepted,
        &mut status.refused,
        &mut status.denied,
        &mut status.accept_failures,
        &mut status.connects_ok,
        &mut status.connects_failed,
        &mut status.retried,
        &mut status.bytes_up,
        &mut status.bytes_down,
        &mut status.truncated,
        &mut status.unconfirmed,
        &mut status.local_resets,
        &mut status.local_left,
        &mut status.idle_closed,
        &mut status.close_timeouts,
    ];
    for (counter, value) in counters.into_iter().zip(2..) {
        *counter = value;
    }
    status
}

#[tokio::test]
async fn the_text_is_in_the_prometheus_format() {
    let status = status().await;
    let expected = r#"# HELP secure_connector_tunnel_start_time_seconds When the tunnel was started, in Unix time.
# TYPE secure_connector_tunnel_start_time_seconds gauge
secure_connector_tunnel_start_time_seconds{fs="a"} 1709618828.25
# HELP secure_connector_tunnel_accepting Whether the tunnel accepts connections: 0 from the moment of a drain.
# TYPE secure_connector_tunnel_accepting gauge
secure_connector_tunnel_accepting{fs="a"} 0
# HELP secure_connector_tunnel_remote_clients Whether other hosts can connect.
# TYPE secure_connector_tunnel_remote_clients gauge
secure_connector_tunnel_remote_clients{fs="a"} 1
# HELP secure_connector_tunnel_connections_active Connections that are open now.
# TYPE secure_connector_tunnel_connections_active gauge
secure_connector_tunnel_connections_active{fs="a"} 1
# HELP secure_connector_tunnel_connections_accepted_total Connections accepted, without those refused and denied.
# TYPE secure_connector_tunnel_connections_accepted_total counter
secure_connector_tunnel_connections_accepted_total{fs="a"} 2
# HELP secure_connector_tunnel_connections_refused_total Connections reset because the limit was reached.
# TYPE secure_connector_tunnel_connections_refused_total counter
secure_connector_tunnel_connections_refused_total{fs="a"} 3
# HELP secure_connector_tunnel_connections_denied_total Connections reset because their user is not allowed.
# TYPE secure_connector_tunnel_connections_denied_total counter
secure_connector_tunnel_connections_denied_total{fs="a"} 4
# HELP secure_connector_tunnel_accept_failures_total Failures to accept, such as too many open files.
# TYPE secure_connector_tunnel_accept_failures_total counter
secure_connector_tunnel_accept_failures_total{fs="a"} 5
# HELP secure_connector_tunnel_upstream_connects_total Attempts to reach the upstream that succeeded.
# TYPE secure_connector_tunnel_upstream_connects_total counter
secure_connector_tunnel_upstream_connects_total{fs="a"} 6
# HELP secure_connector_tunnel_upstream_connect_failures_total Attempts to reach the upstream that failed.
# TYPE secure_connector_tunnel_upstream_connect_failures_total counter
secure_connector_tunnel_upstream_connect_failures_total{fs="a"} 7
# HELP secure_connector_tunnel_upstream_retries_total Failures after which the attempt was repeated.
# TYPE secure_connector_tunnel_upstream_retries_total counter
secure_connector_tunnel_upstream_retries_total{fs="a"} 8
# HELP secure_connector_tunnel_up_bytes_total Bytes written to the upstream.
# TYPE secure_connector_tunnel_up_bytes_total counter
secure_connector_tunnel_up_bytes_total{fs="a"} 9
# HELP secure_connector_tunnel_down_bytes_total Bytes written to local sides.
# TYPE secure_connector_tunnel_down_bytes_total counter
secure_connector_tunnel_down_bytes_total{fs="a"} 10
# HELP secure_connector_tunnel_truncated_total Connections whose upstream ended in the middle.
# TYPE secure_connector_tunnel_truncated_total counter
secure_connector_tunnel_truncated_total{fs="a"} 11
# HELP secure_connector_tunnel_unconfirmed_total Connections whose upstream owed its end of stream at the end.
# TYPE secure_connector_tunnel_unconfirmed_total counter
secure_connector_tunnel_unconfirmed_total{fs="a"} 12
# HELP secure_connector_tunnel_local_resets_total Connections reset by the local side.
# TYPE secure_connector_tunnel_local_resets_total counter
secure_connector_tunnel_local_resets_total{fs="a"} 13
# HELP secure_connector_tunnel_local_left_total Connections left before the upstream was reached.
# TYPE secure_connector_tunnel_local_left_total counter
secure_connector_tunnel_local_left_total{fs="a"} 14
# HELP secure_connector_tunnel_idle_closed_total Connections ended by the idle timeout.
# TYPE secure_connector_tunnel_idle_closed_total counter
secure_connector_tunnel_idle_closed_total{fs="a"} 15
# HELP secure_connector_tunnel_close_timeouts_total Half-closed connections ended by the close timeout.
# TYPE secure_connector_tunnel_close_timeouts_total counter
secure_connector_tunnel_close_timeouts_total{fs="a"} 16
"#;
    assert_eq!(TunnelStatus::prometheus([(&status, [("fs", "a")].as_slice())]), expected);
}

/// A HELP or TYPE line that comes twice makes Prometheus refuse the whole text.
#[tokio::test]
async fn several_tunnels_share_a_heading_and_keep_their_labels() {
    let (quiet, double) = (status().await, Double::new([], Answer::RefuseForGood).0);
    let tunnel = Tunnel::builder(double).start().await.unwrap();
    let mut events = tunnel.events();
    assert_reset_after(b"", read_all(&mut dial(&tunnel).await).await);
    next_close(&mut events).await;
    let mut failed = tunnel.status();
    failed.last_error.as_mut().unwrap().at = UNIX_EPOCH + Duration::from_secs(1_709_618_829);
    let labels: [&[(&str, &str)]; 2] = [&[], &[("file-system", "fs-1"), ("9", "a \"b\" \\ c\nd"), ("", "é")]];
    let text = TunnelStatus::prometheus([(&quiet, labels[0]), (&failed, labels[1])]);
    let about = |name: &str| text.lines().filter(|line| line.contains(name)).collect::<Vec<_>>();
    assert_eq!(
        about("tunnel_accepting"),
        [
            "# HELP secure_connector_tunnel_accepting Whether the tunnel accepts connections: 0 from the moment of a drain.",
            "# TYPE secure_connector_tunnel_accepting gauge",
            "secure_connector_tunnel_accepting 0",
            r#"secure_connector_tunnel_accepting{file_system="fs-1",_9="a \"b\" \\ c\nd",_="é"} 1"#,
        ]
    );
    assert_eq!(
        about("last_error"),
        [
            "# HELP secure_connector_tunnel_last_error_time_seconds When the latest failure happened, in Unix time.",
            "# TYPE secure_connector_tunnel_last_error_time_seconds gauge",
            r#"secure_connector_tunnel_last_error_time_seconds{file_system="fs-1",_9="a \"b\" \\ c\nd",_="é"} 1709618829"#,
        ]
    );
}

#[cfg(feature = "metrics")]
mod facade {
    use std::{
        collections::{BTreeMap, BTreeSet},
        sync::{
            Arc, Mutex,
            atomic::{AtomicU64, Ordering::SeqCst},
        },
    };

    use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

    use super::*;

    #[derive(Debug, Default)]
    struct Recorded {
        headings: Mutex<BTreeSet<String>>,
        counters: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
        gauges: Mutex<BTreeMap<String, Arc<AtomicU64>>>,
    }

    impl Recorded {
        fn describe(&self, kind: &str, key: &KeyName, help: &SharedString) {
            let name = key.as_str();
            self.headings.lock().unwrap().extend([format!("# HELP {name} {help}"), format!("# TYPE {name} {kind}")]);
        }

        /// As lines of the text format, without regard to their order.
        fn lines(self) -> BTreeSet<String> {
            let counters = self.counters.into_inner().unwrap().into_iter();
            let counters = counters.map(|(series, value)| format!("{series} {}", value.load(SeqCst)));
            let gauges = self.gauges.into_inner().unwrap().into_iter();
            let gauges = gauges.map(|(series, value)| format!("{series} {}", f64::from_bits(value.load(SeqCst))));
            self.headings.into_inner().unwrap().into_iter().chain(counters).chain(gauges).collect()
        }
    }

    fn cell(series: &Mutex<BTreeMap<String, Arc<AtomicU64>>>, key: &Key) -> Arc<AtomicU64> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}=\"{}\"", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(series.lock().unwrap().entry(name).or_default())
    }

    impl Recorder for Recorded {
        fn describe_counter(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe("counter", &key, &help);
        }

        fn describe_gauge(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe("gauge", &key, &help);
        }

        fn describe_histogram(&self, key: KeyName, _: Option<Unit>, help: SharedString) {
            self.describe("histogram", &key, &help);
        }

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(cell(&self.counters, key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(cell(&self.gauges, key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[tokio::test]
    async fn the_metrics_crate_gets_what_the_text_says_however_often() {
        let (mut status, recorded) = (status().await, Recorded::default());
        let labels = [("fs", "a"), ("host", "b")].as_slice();
        metrics::with_local_recorder(&recorded, || {
            status.publish(labels);
            status.accepted += 7;
            status.active = 0;
            status.publish(labels);
        });
        let text = TunnelStatus::prometheus([(&status, labels)]);
        assert_eq!(recorded.lines(), text.lines().map(str::to_owned).collect());
    }
}
