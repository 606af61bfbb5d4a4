//! The small script that answers our questions on the other side, and the words of both. For any POSIX shell, with `dd`,
//! `head` and either `stat` or `ls` and `wc` beside it; it writes no file there.
//!
//! It answers until its input ends, so nothing of it outlives the connection; where the shell can wait with a limit, it
//! also ends when nobody asks any more, in case the end of a connection is never told.

use std::fmt::Write as _;

/// The unit in which files are read.
pub(super) const BLOCK_BYTES: u64 = 4096;
/// The first word of the answer to the connection itself.
pub(super) const GREETING: &str = "agentlog-1";
/// Nobody has asked for so long: nobody will.
const QUESTION_WAIT_SECONDS: u64 = 300;

/// Questions are lines: `G <pattern>` which files fit a pattern of the shell; `R <known> <skip> <count> <path>` the file from
/// block `skip` on, unless it is `known` as it is (inode, size, time). Answers: for each file `P <length>` and the name, at
/// the end `.`; for the other question `-` there is no such file, `!` it cannot be read, `=` it is as known, or
/// `F <inode>,<size>,<time> <length>`, the bytes, and the same again as it is after reading.
const SCRIPT: &str = r#"LC_ALL=C; export LC_ALL; unset CDPATH; set -f
about() {
  a=$(stat -L -c %i,%s,%Y -- "$1" 2>/dev/null || stat -L -f %i,%z,%m -- "$1" 2>/dev/null) && return
  i=$(ls -Lid -- "$1" 2>/dev/null) || return
  set -- "$1" $i
  s=$(wc -c <"$1" 2>/dev/null) || return
  a=$2,$((s)),0
}
list() {
  set +f; eval "set -- $1"; set -f
  for f do
    if [ -f "$f" ]; then printf 'P %s\n%s\n' "${#f}" "$f"; fi
  done
  echo .
}
answer() {
  if [ ! -f "$4" ]; then echo -; return; fi
  if [ ! -r "$4" ] || ! about "$4"; then echo '!'; return; fi
  if [ "$a" = "$1" ]; then echo =; return; fi
  s=${a#*,}; s=${s%%,*}
  n=$((s-$2*4096)); m=$(($3*4096))
  if [ "$n" -gt "$m" ]; then n=$m; fi
  if [ "$n" -lt 0 ]; then n=0; fi
  echo "F $a $n"
  if [ "$n" -gt 0 ]; then
    { dd bs=4096 skip="$2" count="$3" <"$4" 2>/dev/null; head -c "$n" /dev/zero; } | head -c "$n"
  fi
  about "$4" || a=0,0,0
  echo "$a"
}
w=; if (echo 1 | read -r -t 1 x) 2>/dev/null; then w='-t WAIT'; fi
echo "GREETING $(date +%s)"
while IFS= read -r $w x; do
  q=${x%% *}; x=${x#* }
  case $q in
    G) list "$x";;
    R) k=${x%% *}; x=${x#* }; b=${x%% *}; x=${x#* }; c=${x%% *}; answer "$k" "$b" "$c" "${x#* }";;
  esac
done
"#;

/// The script with its numbers.
pub(super) fn script() -> String {
    SCRIPT.replace("GREETING", GREETING).replace("WAIT", &QUESTION_WAIT_SECONDS.to_string())
}

/// The command that takes the script from standard input and runs it. It means the same to every login shell.
pub(super) fn command() -> String {
    format!("exec sh -c 'eval \"$(dd bs=1 count={} 2>/dev/null)\"'", script().len())
}

/// Asks which files fit.
pub(super) fn list(pattern: &str) -> String {
    format!("G {pattern}\n")
}

/// Asks for a file, from a block on.
pub(super) fn read(known: Option<&About>, skip: u64, count: u64, path: &str) -> String {
    let mut question = String::from("R ");
    match known {
        Some(About { inode, size, modified }) => {
            let _infallible = write!(question, "{inode},{size},{modified}");
        }
        None => question.push('-'),
    }
    let _infallible = writeln!(question, " {skip} {count} {}", plain(path));
    question
}

/// Inode, size and time of modification, in seconds, by the other machine's clock; 0: it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    pub(super) inode: u64,
    pub(super) size: u64,
    pub(super) modified: i64,
}

impl About {
    /// Reads `inode,size,time`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(',');
        let (inode, size, modified) = (numbers.next()?, numbers.next()?, numbers.next()?);
        let about =
            Self { inode: inode.parse().ok()?, size: size.parse().ok()?, modified: modified.parse().ok()? };
        numbers.next().is_none().then_some(about)
    }
}

/// A path that no program takes for an option.
pub(super) fn plain(path: &str) -> String {
    if path.starts_with(['/', '.']) { path.to_owned() } else { format!("./{path}") }
}
