//! Open files: none leak, and a lack of them passes. Each test looks at a process of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

use super::double::{Answer, Double, assert_reset_after, dial, reachable, read_all, reset, until, within};

const CHILD: &str = "TUNNEL_TEST_CHILD";

/// Whether this is the child process that runs `test` alone under a limit of 64 open files.
fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

fn child(test: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 64 && exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    shell.args(["--exact", "--nocapture", "--test-threads=1", &format!("tunnel::resources::{test}")]).env(CHILD, "1");
    shell
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn no_task_and_no_file_is_left_behind() {
    if !is_child() {
        assert!(child("no_task_and_no_file_is_left_behind").status().unwrap().success());
        return;
    }
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = (open_files(), metrics.num_alive_tasks());
    let (double, far_ends) = Double::new([Answer::RefuseForNow, Answer::Connect, Answer::Silence], Answer::Connect);
    let tunnel = secure_connector::Tunnel::builder(double).start().await.unwrap();
    let mut clients = Vec::new();
    for number in 0..20 {
        let mut client = dial(&tunnel).await;
        let _ = client.write_all(b"data").await;
        match number % 2 {
            0 => reset(client),
            _ => clients.push(client),
        }
    }
    until(|| tunnel.status().accepted == 20).await;
    drop(tunnel);
    drop((clients, far_ends));
    until(|| (open_files(), metrics.num_alive_tasks()) == before).await;
}

#[tokio::test]
async fn a_lack_of_open_files_passes() {
    if !is_child() {
        assert!(child("a_lack_of_open_files_passes").status().unwrap().success());
        return;
    }
    let (builder, mut far_ends) = reachable();
    let tunnel = builder.start().await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(hoard.len() > 10);
    let mut client = within(socket.connect(tunnel.local_addr().tcp().unwrap())).await.unwrap();
    until(|| tunnel.status().accept_failures >= 2).await;
    assert!(tunnel.status().last_error.unwrap().error.starts_with("Too many open files"));
    drop(hoard);
    let mut far = within(far_ends.recv()).await.unwrap();
    far.io.write_all(b"at last").await.unwrap();
    within(client.read_exact(&mut [0; 7])).await.unwrap();
}

#[tokio::test]
async fn even_a_killed_process_resets_its_connections() {
    if is_child() {
        let (builder, mut far_ends) = reachable();
        let tunnel = builder.start().await.unwrap();
        println!("\naddress {}", tunnel.local_addr());
        let mut far = far_ends.recv().await.unwrap();
        far.io.write_all(b"so far").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        return;
    }
    let mut process = child("even_a_killed_process_resets_its_connections").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let address = lines.find_map(|line| line.unwrap().strip_prefix("address ").map(str::to_owned)).unwrap();
    let mut client = within(TcpStream::connect(address)).await.unwrap();
    let mut so_far = [0; 6];
    within(client.read_exact(&mut so_far)).await.unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert_reset_after(b"", read_all(&mut client).await);
}
