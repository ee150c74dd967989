//! Each fault of the proxy, seen from both of its sides.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{self, ErrorKind};
use std::time::Duration;

use secure_connector_testkit::{Fault, FaultProxy, Plan, Script};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Long enough for anything on loopback that is going to happen at all, short enough to wait for what is not.
const NOTHING_COMES: Duration = Duration::from_millis(200);

#[tokio::test]
async fn what_nothing_happens_to_is_passed_on_with_half_closes_and_resets() {
    let Setup { listener, proxy } = Setup::new(Plan::transparent()).await;
    let (mut client, mut upstream) = pair(&proxy, &listener).await;
    let data = noise(100_000);
    let (question, answer) = data.split_at(70_000);
    let (asked, ()) = tokio::join!(read_to_end(&mut upstream), async {
        client.write_all(question).await.unwrap();
        client.shutdown().await.unwrap();
    });
    assert!(asked.unwrap() == question);
    let (answered, ()) = tokio::join!(read_to_end(&mut client), async {
        upstream.write_all(answer).await.unwrap();
        upstream.shutdown().await.unwrap();
    });
    assert!(answered.unwrap() == answer);
    let counters = proxy.counters();
    assert_eq!((counters.connections, counters.bytes_up, counters.bytes_down), (1, 70_000, 30_000));
    assert_eq!((counters.cuts, counters.resets, counters.upstream_failures), (0, 0, 0));

    for client_resets in [true, false] {
        let (client, upstream) = pair(&proxy, &listener).await;
        let (resetting, mut reset) = if client_resets { (client, upstream) } else { (upstream, client) };
        resetting.set_zero_linger().unwrap();
        drop(resetting);
        assert_eq!(read_byte(&mut reset).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(proxy.counters().resets, 0);
}

#[tokio::test]
async fn a_cut_is_an_end_of_data_at_both_ends_after_exactly_so_many_bytes() {
    for after in [0, 1, 20_000] {
        let plan = [Script::default().up(after, Fault::Cut), Script::default().down(after, Fault::Cut)];
        let Setup { listener, proxy } = Setup::new(Plan::sequence(plan)).await;
        for from_client in [true, false] {
            let (client, upstream) = pair(&proxy, &listener).await;
            let (mut sender, mut receiver) = if from_client { (client, upstream) } else { (upstream, client) };
            let data = noise(50_000);
            let (received, at_sender) = tokio::join!(read_to_end(&mut receiver), async {
                // Taken and thrown away, as far as the sender can tell.
                sender.write_all(&data).await.unwrap();
                read_to_end(&mut sender).await
            });
            assert!(received.unwrap() == data[..usize::try_from(after).unwrap()], "{after} {from_client}");
            assert_eq!(at_sender.unwrap(), b"");
        }
        let counters = proxy.counters();
        assert_eq!((counters.bytes_up, counters.bytes_down, counters.cuts), (after, after, 2));
    }
}

#[tokio::test]
async fn a_reset_is_a_reset_at_both_ends() {
    let plan = [Script::default().up(3, Fault::Reset), Script::default().down(3, Fault::Reset)];
    let Setup { listener, proxy } = Setup::new(Plan::sequence(plan)).await;
    for from_client in [true, false] {
        let (client, upstream) = pair(&proxy, &listener).await;
        let (mut sender, mut receiver) = if from_client { (client, upstream) } else { (upstream, client) };
        sender.write_all(b"abcd").await.unwrap();
        for end in [&mut sender, &mut receiver] {
            assert_eq!(read_to_end(end).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
    let counters = proxy.counters();
    assert_eq!((counters.bytes_up, counters.bytes_down, counters.resets), (3, 3, 2));
}

#[tokio::test]
async fn exactly_the_bytes_named_arrive_inverted() {
    let plan = Script::default().up(0, Fault::Corrupt).up(30_000, Fault::Corrupt).down(2, Fault::Corrupt);
    let Setup { listener, proxy } = Setup::new(plan).await;
    let (mut client, mut upstream) = pair(&proxy, &listener).await;
    let mut expected = noise(50_000);
    let (received, ()) = tokio::join!(read_to_end(&mut upstream), async {
        client.write_all(&expected.clone()).await.unwrap();
        client.shutdown().await.unwrap();
    });
    expected[0] = !expected[0];
    expected[30_000] = !expected[30_000];
    assert!(received.unwrap() == expected);
    upstream.write_all(&[1, 2, 3, 4]).await.unwrap();
    drop(upstream);
    assert_eq!(read_to_end(&mut client).await.unwrap(), [1, 2, !3, 4]);
    assert_eq!(proxy.counters().corrupted, 3);
}

#[tokio::test]
async fn in_a_black_hole_nothing_arrives_and_nothing_ends_until_it_is_struck() {
    for (strike, expected) in [(Fault::Cut, Ok(vec![])), (Fault::Reset, Err(ErrorKind::ConnectionReset))] {
        let Setup { listener, proxy } = Setup::new(Script::default().up(2, Fault::BlackHole)).await;
        let (mut client, mut upstream) = pair(&proxy, &listener).await;
        client.write_all(b"abc").await.unwrap();
        assert_eq!([read_byte(&mut upstream).await.unwrap(), read_byte(&mut upstream).await.unwrap()], *b"ab");
        upstream.write_all(b"abc").await.unwrap();
        for end in [&mut client, &mut upstream] {
            assert!(timeout(NOTHING_COMES, end.read_u8()).await.is_err());
        }
        assert_eq!((proxy.strike(Fault::Delay(Duration::ZERO)), proxy.live()), (1, 1));
        assert!(timeout(NOTHING_COMES, upstream.read_u8()).await.is_err());
        assert_eq!(proxy.strike(strike), 1);
        for end in [&mut client, &mut upstream] {
            assert_eq!(read_to_end(end).await.map_err(|error| error.kind()), expected);
        }
        let counters = proxy.counters();
        assert_eq!((counters.black_holes, counters.cuts + counters.resets), (1, 1));
        assert_eq!((counters.bytes_up, counters.bytes_down), (2, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_back_every_piece_of_its_direction_until_it_is_ended() {
    let plan = Script::default().up(1, Fault::Delay(60 * SECOND)).up(3, Fault::Delay(Duration::ZERO));
    let Setup { listener, proxy } = Setup::new(plan).await;
    let (mut client, mut upstream) = pair(&proxy, &listener).await;
    for seconds in [0, 60, 60, 0] {
        let start = Instant::now();
        client.write_all(b"x").await.unwrap();
        assert_eq!(read_byte(&mut upstream).await.unwrap(), b'x');
        assert_eq!(start.elapsed().as_secs(), seconds);
        upstream.write_all(b"y").await.unwrap();
        assert_eq!(read_byte(&mut client).await.unwrap(), b'y');
        assert_eq!(start.elapsed().as_secs(), seconds);
    }
    assert_eq!(proxy.strike(Fault::Delay(5 * SECOND)), 1);
    let start = Instant::now();
    client.write_all(b"x").await.unwrap();
    read_byte(&mut upstream).await.unwrap();
    upstream.write_all(b"y").await.unwrap();
    read_byte(&mut client).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(proxy.counters().delays, 3);
}

#[tokio::test(start_paused = true)]
async fn a_throttle_lets_so_many_bytes_a_second_pass() {
    let plan = Script::default().down(500, Fault::Throttle(1000)).down(10_500, Fault::Throttle(u64::MAX));
    let Setup { listener, proxy } = Setup::new(plan).await;
    let (mut client, mut upstream) = pair(&proxy, &listener).await;
    let data = noise(200_000);
    let start = Instant::now();
    let (received, ()) = tokio::join!(read_to_end(&mut client), async {
        upstream.write_all(&data).await.unwrap();
        upstream.shutdown().await.unwrap();
    });
    assert!(received.unwrap() == data);
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!((proxy.counters().throttles, proxy.counters().bytes_down), (1 + 1, 200_000));
}

#[tokio::test]
async fn a_strike_hits_those_under_way_and_a_new_plan_those_to_come() {
    let Setup { listener, proxy } = Setup::new(Plan::transparent()).await;
    let mut struck = vec![pair(&proxy, &listener).await, pair(&proxy, &listener).await];
    let gone = pair(&proxy, &listener).await;
    drop(gone);
    limited(async {
        while proxy.live() > 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(proxy.strike(Fault::Corrupt), 2);
    for (client, upstream) in &mut struck {
        for byte in [!7, 7] {
            client.write_all(&[7]).await.unwrap();
            assert_eq!(read_byte(upstream).await.unwrap(), byte);
        }
    }
    proxy.set_plan(Plan::sequence([Script::default().up(0, Fault::Cut)]));
    let (mut client, mut upstream) = struck.pop().unwrap();
    client.write_all(&[7]).await.unwrap();
    assert_eq!(read_byte(&mut upstream).await.unwrap(), 7);
    let (mut later, _upstream) = pair(&proxy, &listener).await;
    assert_eq!(read_to_end(&mut later).await.unwrap(), b"");
}

#[tokio::test]
async fn a_closed_port_refuses_while_connections_go_on_and_the_same_port_opens_again() {
    let Setup { listener, proxy } = Setup::new(Plan::transparent()).await;
    let (mut client, mut upstream) = pair(&proxy, &listener).await;
    for _twice in 0..2 {
        proxy.refuse_connections().await.unwrap();
        proxy.refuse_connections().await.unwrap();
        for _attempt in 0..3 {
            let refused = TcpStream::connect(proxy.addr()).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
        client.write_all(&[7]).await.unwrap();
        assert_eq!(read_byte(&mut upstream).await.unwrap(), 7);
        proxy.accept_connections().await.unwrap();
        proxy.accept_connections().await.unwrap();
        let (mut client, mut upstream) = pair(&proxy, &listener).await;
        client.write_all(&[8]).await.unwrap();
        assert_eq!(read_byte(&mut upstream).await.unwrap(), 8);
    }
    assert_eq!(proxy.counters().connections, 3);
}

#[tokio::test]
async fn a_dead_upstream_resets_the_client() {
    let Setup { listener, proxy } = Setup::new(Plan::transparent()).await;
    drop(listener);
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(read_byte(&mut client).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!((proxy.counters().connections, proxy.counters().upstream_failures), (1, 1));
}

#[tokio::test]
async fn everything_ends_with_the_proxy() {
    let Setup { listener, proxy } = Setup::new(Plan::sequence([Script::default().up(0, Fault::BlackHole)])).await;
    let mut pairs = [pair(&proxy, &listener).await, pair(&proxy, &listener).await];
    let addr = proxy.addr();
    drop(proxy);
    for (client, upstream) in &mut pairs {
        assert_eq!(read_to_end(client).await.unwrap(), b"");
        assert_eq!(read_to_end(upstream).await.unwrap(), b"");
    }
    assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_seed_gives_the_same_scripts_for_ever() {
    let faults = [Fault::Cut, Fault::Reset, Fault::Corrupt];
    let plan = Plan::random(42, 100..1000, faults);
    let scripts = [0, 1, 2, 3].map(|number| plan.script(number));
    let expected = [
        Script::default().down(223, Fault::Corrupt),
        Script::default().down(248, Fault::Reset),
        Script::default().up(618, Fault::Cut),
        Script::default().down(375, Fault::Reset),
    ];
    assert_eq!(scripts, expected);
    assert_eq!(Plan::random(42, 100..1000, faults).script(3), scripts[3]);
    assert_ne!(Plan::random(43, 100..1000, faults).script(3), scripts[3]);
    assert_eq!(Plan::random(42, 7..7, [Fault::Cut]).script(0), Script::default().down(7, Fault::Cut));
    assert_eq!(Plan::random(42, 0..9, []).script(0), Script::default());
    assert_eq!(Plan::sequence([scripts[0].clone()]).script(0), scripts[0]);
    assert_eq!(Plan::sequence([scripts[0].clone()]).script(1), Script::default());
    assert_eq!(Plan::always(scripts[0].clone()).script(u64::MAX), scripts[0]);
}

#[tokio::test]
async fn a_hundred_random_cuts_are_where_the_seed_puts_them() {
    let plan = Plan::random(7, 0..40_000, [Fault::Cut]);
    let Setup { listener, proxy } = Setup::new(plan.clone()).await;
    let data = noise(40_000);
    let (mut up, mut down) = (0, 0);
    for number in 0..100 {
        let (mut client, mut upstream) = pair(&proxy, &listener).await;
        let (to_client, to_upstream) = tokio::join!(
            async {
                client.write_all(&data).await.unwrap();
                read_to_end(&mut client).await.unwrap().len()
            },
            async {
                upstream.write_all(&data).await.unwrap();
                read_to_end(&mut upstream).await.unwrap().len()
            }
        );
        let at = |length: usize| u64::try_from(length).unwrap();
        let script = plan.script(number);
        let is_up = script == Script::default().up(at(to_upstream), Fault::Cut);
        let is_down = script == Script::default().down(at(to_client), Fault::Cut);
        assert!(is_up || is_down, "{number}: {script:?}, {to_upstream} up, {to_client} down");
        up += u32::from(is_up);
        down += u32::from(is_down);
    }
    assert_eq!((up, down), (48, 52));
    assert_eq!(proxy.counters().cuts, 100);
}

const SECOND: Duration = Duration::from_secs(1);

struct Setup {
    listener: TcpListener,
    proxy: FaultProxy,
}

impl Setup {
    async fn new(plan: impl Into<Plan>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = FaultProxy::start(listener.local_addr().unwrap(), plan).await.unwrap();
        Self { listener, proxy }
    }
}

/// Both ends of a connection through the proxy: the client's and the upstream's.
async fn pair(proxy: &FaultProxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let both = async { tokio::join!(TcpStream::connect(proxy.addr()), listener.accept()) };
    let (client, upstream) = limited(both).await;
    (client.unwrap(), upstream.unwrap().0)
}

async fn read_byte(stream: &mut TcpStream) -> io::Result<u8> {
    limited(stream.read_u8()).await
}

/// More than any of these takes, so that what never comes is a failure and not a wait. Paused clocks count it too.
async fn limited<T>(waiting: impl Future<Output = T>) -> T {
    timeout(100 * SECOND, waiting).await.unwrap()
}

async fn read_to_end(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    limited(stream.read_to_end(&mut received)).await.map(|_| received)
}

/// Bytes that are not equal by chance.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..length).map(next).collect()
}
