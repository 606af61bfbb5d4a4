//! A text to an HTTP endpoint and its answer, bounded in time, in attempts and in size.
//!
//! What is worth another attempt is tried again with growing pauses, or with those that the other side asks for. What it
//! refuses: redirects (a body is sent where it was meant to go), following an answer without end, and waiting for longer
//! than its caller allows.

use crate::base::clock::Timestamp;
use crate::base::text::{first_line, sanitize};
use std::time::Duration;
use ureq::http::{HeaderMap, StatusCode};

/// The first pause between two attempts; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Where to.
    pub url: &'a str,
    /// Headers beside the content type, which is `application/json`.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a str,
}

/// How much is spent on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For one attempt, from the look-up of the name to the last byte of the answer.
    pub timeout: Duration,
    /// How many attempts, at least one.
    pub attempts: u32,
    /// The longest pause between two of them; where the other side asks for a longer one, nothing is tried again.
    pub pause_max: Duration,
    /// How many bytes an answer may have.
    pub answer_bytes: u64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The other side said no.
    #[error("{url} answered {status}{}", said(text))]
    Refused {
        /// Whom was asked.
        url: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        text: String,
    },
    /// The other side asks to come back later than is waited.
    #[error("{url} is busy for another {} s", pause.as_secs())]
    Busy {
        /// Whom was asked.
        url: String,
        /// How long it asks to wait.
        pause: Duration,
    },
    /// There was no whole answer.
    #[error("{url} gave no answer: {cause}")]
    NoAnswer {
        /// Whom was asked.
        url: String,
        /// Why.
        cause: Box<ureq::Error>,
    },
    /// It was taken, but what was answered cannot be read. Sent again it would be taken twice.
    #[error("{url} gave no answer: {cause}")]
    Unreadable {
        /// Whom was asked.
        url: String,
        /// Why.
        cause: Box<ureq::Error>,
    },
    /// Whoever waits has been told to stop.
    #[error("stopped before {url} answered")]
    Stopped {
        /// Whom was asked.
        url: String,
    },
}

/// Sends a text, with further attempts where one is worth it, and gives the body of the answer. `pause` waits, and says
/// whether to go on; `now` is asked only where the other side names an instant.
///
/// # Errors
/// When no attempt was answered with success.
pub fn post(
    post: Post<'_>,
    limits: Limits,
    now: &dyn Fn() -> Timestamp,
    pause: &mut dyn FnMut(Duration) -> bool,
) -> Result<String, HttpError> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(limits.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("agentlog/", env!("CARGO_PKG_VERSION")));
    let agent = config.build().new_agent();
    let mut own_pause = FIRST_PAUSE;
    for attempt in 1.. {
        let (error, asked) = match once(&agent, post, limits.answer_bytes, now) {
            Ok(answer) => return Ok(answer),
            Err(Miss { error, again: Again::Never }) => return Err(error),
            Err(Miss { error, again: Again::After(asked) }) => (error, asked),
        };
        if attempt >= limits.attempts {
            return Err(error);
        }
        let url = post.url.to_owned();
        match asked {
            Some(asked) if asked > limits.pause_max => return Err(HttpError::Busy { url, pause: asked }),
            asked => {
                if !pause(asked.unwrap_or(own_pause).min(limits.pause_max)) {
                    return Err(HttpError::Stopped { url });
                }
            }
        }
        own_pause = own_pause.saturating_mul(2);
    }
    Err(HttpError::Stopped { url: post.url.to_owned() })
}

/// An attempt that failed.
struct Miss {
    error: HttpError,
    again: Again,
}

/// Whether another attempt is worth it.
enum Again {
    Never,
    /// After the pause that the other side asks for, or one of ours.
    After(Option<Duration>),
}

fn once(
    agent: &ureq::Agent,
    post: Post<'_>,
    answer_bytes: u64,
    now: &dyn Fn() -> Timestamp,
) -> Result<String, Miss> {
    let no_answer = |cause: ureq::Error| Miss {
        again: match cause {
            ureq::Error::BadUri(_) | ureq::Error::Http(_) => Again::Never,
            _ => Again::After(None),
        },
        error: HttpError::NoAnswer { url: post.url.to_owned(), cause: Box::new(cause) },
    };
    let mut request = agent.post(post.url).header("content-type", "application/json");
    for (name, value) in post.headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(post.body).map_err(no_answer)?;
    let status = response.status();
    let asked = asked_pause(response.headers(), now);
    let answer = response.body_mut().with_config().limit(answer_bytes).lossy_utf8(true).read_to_string();
    if status.is_success() {
        return answer.map_err(|cause| Miss {
            error: HttpError::Unreadable { url: post.url.to_owned(), cause: Box::new(cause) },
            again: Again::Never,
        });
    }
    let text = answer.unwrap_or_default();
    let text = first_line(&text).chars().take(200).collect();
    let again = if is_passing(status) { Again::After(asked) } else { Again::Never };
    Err(Miss { error: HttpError::Refused { url: post.url.to_owned(), status: status.as_u16(), text }, again })
}

/// Whether what is answered so may be answered otherwise in a while.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The pause of `retry-after`: seconds, or an instant (RFC 9110 §10.2.3).
fn asked_pause(headers: &HeaderMap, now: &dyn Fn() -> Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
    let millis = Timestamp::from_millis(at.timestamp_millis()).millis_since(now());
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// What the other side said, after its status.
fn said(text: &str) -> String {
    if text.trim().is_empty() { String::new() } else { format!(": {}", sanitize(text)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    /// A server that gives these answers one after the other, and then what it was sent.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let serve = move |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"{\"a\":1}") {
                let mut bytes = [0; 1024];
                let count = stream.read(&mut bytes).unwrap();
                request.extend_from_slice(&bytes[..count]);
            }
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(request).unwrap()
        };
        (url, std::thread::spawn(move || answers.into_iter().map(serve).collect()))
    }

    fn answer(status: &str, headers: &str, body: &str) -> String {
        format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        )
    }

    /// What comes of it, the pauses that were made, and what was sent.
    fn outcome(answers: Vec<String>) -> (Result<String, String>, Vec<Duration>, Vec<String>) {
        let (url, sent) = server(answers);
        let limits = Limits {
            timeout: Duration::from_secs(10),
            attempts: 3,
            pause_max: Duration::from_secs(30),
            answer_bytes: 100,
        };
        let mut pauses = Vec::new();
        let mut pause = |time| {
            pauses.push(time);
            true
        };
        let now = || Timestamp::parse("2026-11-16T09:00:00Z").unwrap();
        let request = Post { url: &url, headers: &[("x-key", "k")], body: "{\"a\":1}" };
        let told =
            post(request, limits, &now, &mut pause).map_err(|error| error.to_string().replace(&url, "URL"));
        (told, pauses, sent.join().unwrap())
    }

    #[test]
    fn a_text_is_sent_with_its_headers_and_the_answer_comes_back() {
        let (told, pauses, sent) = outcome(vec![answer("200 OK", "", "done")]);
        assert_eq!((told, pauses), (Ok("done".to_owned()), vec![]));
        let sent = sent[0].to_lowercase();
        assert!(sent.starts_with("post /hook http/1.1\r\n"), "{sent}");
        assert!(
            sent.contains("content-type: application/json\r\n") && sent.contains("x-key: k\r\n"),
            "{sent}"
        );
    }

    #[test]
    fn what_passes_is_tried_again_after_growing_pauses() {
        let (told, pauses, _) = outcome(vec![
            answer("503 Unavailable", "", ""),
            answer("500 Broken", "", ""),
            answer("200 OK", "", "done"),
        ]);
        assert_eq!(told, Ok("done".to_owned()));
        assert_eq!(pauses, [500, 1000].map(Duration::from_millis));
    }

    #[test]
    fn the_pause_is_the_one_that_is_asked_for() {
        let date = "retry-after: Mon, 16 Nov 2026 09:00:07 GMT\r\n";
        let (told, pauses, _) = outcome(vec![
            answer("429 Slow down", "retry-after: 3\r\n", ""),
            answer("429 Slow down", date, ""),
            answer("200 OK", "", "done"),
        ]);
        assert_eq!(
            (told, pauses),
            (Ok("done".to_owned()), vec![Duration::from_secs(3), Duration::from_secs(7)])
        );
        let (told, pauses, _) = outcome(vec![answer("429 Slow down", "retry-after: 3600\r\n", "")]);
        assert_eq!((told, pauses), (Err("URL is busy for another 3600 s".to_owned()), vec![]));
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        let (told, ..) = outcome(vec![answer("401 No", "", "bad key\u{1b}[1m\nmore")]);
        assert_eq!(told, Err("URL answered 401: bad key^[[1m".to_owned()));
        let (told, ..) = outcome(vec![answer("302 Elsewhere", "location: http://example.org\r\n", "")]);
        assert_eq!(told, Err("URL answered 302".to_owned()));
        let (told, ..) = outcome(vec![answer("200 OK", "", &"x".repeat(101))]);
        assert!(told.unwrap_err().starts_with("URL gave no answer"));
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nhalf";
        let (told, pauses, sent) = outcome(vec![half.to_owned()]);
        assert!(told.unwrap_err().starts_with("URL gave no answer"));
        assert_eq!((pauses.len(), sent.len()), (0, 1), "it was taken");
        let unavailable = || answer("503 Unavailable", "", "later");
        let (told, ..) = outcome(vec![unavailable(), unavailable(), unavailable()]);
        assert_eq!(told, Err("URL answered 503: later".to_owned()));
    }
}
