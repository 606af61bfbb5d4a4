//! An sshd of the test's own: keys, configuration and port are made for it, and it ends with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "/usr/sbin/sshd";

/// The server, and the folder that stands for the other machine.
pub(super) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts one; `None`: there is no sshd here.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    pub(super) fn start() -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            println!("skipped: there is no {PROGRAM}");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("al").tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &at(key)]).status();
            assert!(made.unwrap().success());
        }
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        if rustix::process::geteuid().is_root() {
            // Where sshd locks itself in as long as nobody has logged in.
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let lines = [
            format!("ListenAddress 127.0.0.1:{port}"),
            format!("HostKey {}", at("host")),
            format!("AuthorizedKeysFile {}", at("authorized")),
            format!("PidFile {}", at("pid")),
            "StrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no"
                .to_owned(),
            "MaxStartups 100".to_owned(),
            // What the user's login shell reads at its start is no part of the test, and must not be killed in its middle.
            format!("SetEnv HOME={} SHLVL=5", folder.path().display()),
        ];
        super::write(&folder.path().join("sshd_config"), &(lines.join("\n") + "\n"));
        let lines = [
            format!("Host far\n HostName 127.0.0.1\n Port {port}\n IdentityFile {}", at("user")),
            " IdentitiesOnly yes\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR"
                .to_owned(),
        ];
        super::write(&folder.path().join("ssh_config"), &(lines.join("\n") + "\n"));
        let mut server = Self { folder, port, child: None };
        server.up();
        Some(server)
    }

    /// The program and the arguments by which it is reached.
    pub(super) fn ssh(&self) -> String {
        format!("ssh -F '{}'", self.path("ssh_config").display())
    }

    /// A file on the other machine.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn up(&mut self) {
        let child = Command::new(PROGRAM)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::options().create(true).append(true).open(self.path("sshd_log")).unwrap())
            .spawn()
            .unwrap();
        self.child = Some(child);
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = std::fs::read_to_string(self.path("sshd_log")).unwrap_or_default();
            assert!(began.elapsed() < Duration::from_secs(10), "sshd does not listen: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server and everyone's connection, as a machine does that loses its power.
    pub(super) fn down(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        for pid in descendants(child.id()) {
            let _gone = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// The commands of everything that the server runs for those connected, without itself.
    pub(super) fn running(&self) -> Vec<String> {
        let Some(child) = &self.child else { return Vec::new() };
        descendants(child.id()).into_iter().filter_map(command).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

/// All `ssh` in whose arguments this stands, with their commands.
pub(super) fn processes_with(text: &str) -> Vec<(u32, String)> {
    let numbers = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let commands = pids.filter_map(|pid: u32| Some((pid, command(pid)?)));
    commands.filter(|(_, command)| command.starts_with("ssh") && command.contains(text)).collect()
}

fn command(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let text = String::from_utf8_lossy(&bytes).replace('\0', " ");
    (!text.is_empty()).then_some(text)
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut next = 0;
    while let Some(parent) = all.get(next).copied() {
        next += 1;
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
            if after.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent) {
                all.push(pid);
            }
        }
    }
    all.split_off(1)
}
