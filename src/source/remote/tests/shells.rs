//! The script in every shell that is here, without `stat`, and against what is no shell at all: a program that takes the
//! place of `ssh` runs it here.

use super::*;
use crate::source::remote::script::{self, About};
use crate::source::remote::wire::{Address, Wire, WireError};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A program that is called as `ssh` is and runs these lines; `$command` is what would run on the other side.
fn instead(folder: &Path, lines: &str) -> String {
    let path = folder.join("instead-of-ssh");
    write(&path, &format!("#!/bin/sh\nfor command do :; done\n{lines}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("'{}'", path.display())
}

fn address(ssh: &str) -> Address {
    let ssh = vec![ssh.trim_matches('\'').to_owned()];
    Address { host: "far".into(), ssh, connect_timeout_seconds: 1, socket: None }
}

fn open(ssh: &str) -> Result<(Wire, Option<i64>), WireError> {
    // A program that was just written may still be open in a child that another thread of the tests starts.
    let began = Instant::now();
    loop {
        match Wire::open(&address(ssh), &Arc::new(AtomicBool::new(false))) {
            Err(WireError::Program { error, .. })
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy && began.elapsed() < DEADLINE => {}
            opened => return opened,
        }
    }
}

/// The lines of an answer without its bytes, which must be there.
fn asked(wire: &mut Wire, question: &str, bytes: &[u8]) -> String {
    wire.ask(question).unwrap();
    let line = wire.answer().unwrap();
    let Some((about, length)) = line.strip_prefix("F ").and_then(|rest| rest.split_once(' ')) else {
        return line;
    };
    assert_eq!((length, wire.bytes(bytes.len()).unwrap().as_slice()), (&*bytes.len().to_string(), bytes));
    assert_eq!(wire.answer().unwrap(), about);
    about.to_owned()
}

#[test]
fn every_shell_gives_the_same_answers_with_and_without_stat() {
    let shells = ["sh", "dash", "bash", "busybox sh", "ksh", "mksh", "zsh --emulate sh", "posh", "yash"];
    let is_here = |shell: &&str| {
        let name = shell.split(' ').next().unwrap();
        std::env::split_paths(&std::env::var_os("PATH").unwrap()).any(|folder| folder.join(name).exists())
    };
    for shell in shells.into_iter().filter(is_here) {
        for has_stat in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
            let bytes: Vec<u8> = (0..=255).cycle().take(10_000).collect();
            let odd = " -o'dd $(x) ";
            std::fs::File::create(at(odd)).unwrap().write_all(&bytes).unwrap();
            write(Path::new(&at("empty")), "");
            std::fs::create_dir(at("folder")).unwrap();
            // Only the outer word is replaced: the login shell may be any.
            let lines = format!("inner=${{command#exec sh -c }}\nexec sh -c \"exec {shell} -c $inner\"");
            let mut ssh = instead(folder.path(), &lines);
            if !has_stat {
                write(&folder.path().join("bin/stat"), "#!/bin/sh\nexit 1\n");
                let stat = folder.path().join("bin/stat");
                std::fs::set_permissions(&stat, std::fs::Permissions::from_mode(0o755)).unwrap();
                let path =
                    format!("PATH='{}':$PATH; export PATH\n{lines}", folder.path().join("bin").display());
                ssh = instead(folder.path(), &path);
            }
            let (mut wire, clock) = open(&ssh).unwrap_or_else(|error| panic!("{shell}: {error}"));
            let now = SystemClock.now().millis() / 1000;
            assert!(clock.is_some_and(|clock| (clock - now).abs() <= 60), "{shell}: {clock:?}");
            let read = |skip, count, path: &str| script::read(None, skip, count, path);
            let about = About::parse(&asked(&mut wire, &read(0, 9, &at(odd)), &bytes)).unwrap();
            assert_eq!((about.size, about.modified != 0), (10_000, has_stat), "{shell}");
            asked(&mut wire, &read(1, 1, &at(odd)), &bytes[4096..8192]);
            asked(&mut wire, &read(2, 7, &at(odd)), &bytes[8192..]);
            asked(&mut wire, &read(3, 7, &at(odd)), b"");
            asked(&mut wire, &read(0, 0, &at(odd)), b"");
            assert_eq!(asked(&mut wire, &script::read(Some(&about), 0, 9, &at(odd)), b""), "=");
            asked(&mut wire, &read(0, 9, &at("empty")), b"");
            assert_eq!(asked(&mut wire, &read(0, 9, &at("folder")), b""), "-");
            assert_eq!(asked(&mut wire, &read(0, 9, &at("none")), b""), "-");
            wire.ask(&script::list(&format!("'{}'/*", folder.path().display()))).unwrap();
            let mut names = Vec::new();
            while let Some(length) = wire.answer().unwrap().strip_prefix("P ") {
                names.push(String::from_utf8(wire.bytes(length.parse().unwrap()).unwrap()).unwrap());
                wire.bytes(1).unwrap();
            }
            assert_eq!(names, [at(odd), at("empty"), at("instead-of-ssh")], "{shell}");
        }
    }
}

#[test]
fn what_a_login_shell_says_before_is_skipped_and_nonsense_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = instead(folder.path(), "echo Welcome; echo; echo 'the last line'; eval \"$command\"");
    let (mut wire, _) = open(&told).unwrap();
    assert_eq!(asked(&mut wire, &script::read(None, 0, 1, "/nowhere/x"), b""), "-");
    let error = |lines: &str| open(&instead(folder.path(), lines)).unwrap_err().to_string();
    assert_eq!(
        error("echo 'Permission denied (publickey).' >&2; exit 255"),
        "Permission denied (publickey)."
    );
    assert_eq!(error("exit 3"), "the connection has ended (exit status: 3)");
    assert!(error("head -c 300000 /dev/zero").starts_with("an answer that is none: \"\\0"));
}

#[test]
fn answers_that_are_none_end_the_connection_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let answers = [
        "F 1,2 3",
        "F x",
        "P 1",
        "F 1,99,1 99999999999999999999",
        "F 1,1,1 1\nab",
        "?",
        "\\377\\376\\n\\n\\n",
    ];
    for answer in answers {
        let lines = format!("printf 'agentlog-1 1\\n'; sleep 0.05; printf '.\\n{answer}\\n{answer}\\n'");
        let config = RemoteConfig {
            host: "far".into(),
            name: "x".into(),
            log: Some("/x".into()),
            interval_seconds: 0.05,
            ssh: instead(folder.path(), &lines),
            ..RemoteConfig::default()
        };
        let mut source = Remote::new(&[config]);
        source.discover(&fixture::env(Scope::Global));
        let (began, mut log) = (Instant::now(), EventLog::default());
        loop {
            let (_, problems) = source.poll(SystemClock.now(), &mut log);
            if !problems.is_empty() {
                assert!(problems[0].message.starts_with("offline since"), "{problems:?}");
                break;
            }
            assert!(began.elapsed() < DEADLINE, "{answer}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(log.lines, [""; 0]);
    }
}
