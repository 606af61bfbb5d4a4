//! The endpoint against a server on this machine that misbehaves in every way, and the two good answers.

use super::*;
use crate::app::summarise::model::Model;
use crate::summary::answer;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Instant;

/// What a server does with one request.
#[derive(Clone, Debug)]
pub(in crate::app::summarise) enum Deed {
    /// Answers: status, further headers, body.
    Answer(&'static str, &'static str, String),
    /// Says nothing until the other side goes.
    Silence,
    /// Closes without a word.
    Close,
    /// Announces more than it sends.
    Half,
}

/// A server on a port of its own that does these things with one request after the other, and then gives what it was sent.
pub(in crate::app::summarise) struct Server {
    pub(in crate::app::summarise) url: String,
    requests: JoinHandle<Vec<String>>,
}

impl Server {
    pub(in crate::app::summarise) fn new(deeds: Vec<Deed>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serve =
            move || deeds.into_iter().map(|deed| serve(listener.accept().unwrap().0, &deed)).collect();
        Self { url, requests: std::thread::spawn(serve) }
    }

    pub(in crate::app::summarise) fn requests(self) -> Vec<String> {
        self.requests.join().unwrap()
    }
}

fn serve(mut stream: TcpStream, deed: &Deed) -> String {
    let request = request(&mut stream);
    // A client that went away in the middle is part of the test.
    let _unheard = match deed {
        Deed::Answer(status, headers, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
            );
            stream.write_all(format!("{head}{body}").as_bytes())
        }
        Deed::Silence => stream.read_to_end(&mut Vec::new()).map(|_| ()),
        Deed::Close => Ok(()),
        Deed::Half => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"choices\":[{\"mess")
        }
    };
    request
}

fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        let mut more = [0; 4096];
        match stream.read(&mut more).unwrap() {
            0 => return text,
            count => bytes.extend_from_slice(&more[..count]),
        }
    }
}

/// An answer in the words of a model.
pub(in crate::app::summarise) fn said(status: &str) -> String {
    json!({
        "current_activity": "Reads mail.", "on_track_status": status, "confidence_score": 0.7,
        "drift_reasons": ["it reads mail"], "alignment_keywords": [], "recommended_action": "ask it why",
    })
    .to_string()
}

/// What an endpoint with the interface of `OpenAI` answers.
pub(in crate::app::summarise) fn openai(text: &str) -> Deed {
    let body = json!({
        "id": "chatcmpl-1", "model": "small-1", "choices": [{"message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 400}},
    });
    Deed::Answer("200 OK", "", body.to_string())
}

fn anthropic(text: &str) -> Deed {
    let body = json!({
        "id": "msg_1", "model": "small-2", "content": [{"type": "thinking", "thinking": "x"}, {"type": "text", "text": text}],
        "usage": {"input_tokens": 600, "output_tokens": 100, "cache_read_input_tokens": 300, "cache_creation_input_tokens": 100},
    });
    Deed::Answer("200 OK", "", body.to_string())
}

/// The settings of a test, which never waits long.
pub(in crate::app::summarise) fn config(api: Api, url: &str) -> ModelConfig {
    ModelConfig {
        enabled: true,
        api,
        url: Some(url.to_owned()),
        model: Some("small".to_owned()),
        timeout_ms: 10_000,
        retries: 1,
        input_usd_per_million: Some(2.0),
        output_usd_per_million: Some(10.0),
        ..ModelConfig::default()
    }
}

/// What comes of it, the pauses that were asked for, and the requests.
fn asked(config: &ModelConfig, server: Server) -> (Result<Reply, String>, Vec<Duration>, Vec<String>) {
    let config = ModelConfig { url: Some(server.url.clone()), ..config.clone() };
    let mut pauses = Vec::new();
    let mut pause = |time| {
        pauses.push(time);
        true
    };
    let now = || Timestamp::parse("2026-11-16T09:00:00Z").unwrap();
    let prompt = Prompt { system: "judge", user: "task: x".to_owned() };
    let reply = ask(&config, Some("k-123"), &prompt, &now, &mut pause);
    let told = reply.map_err(|error| error.to_string().replace(&server.url, "URL"));
    (told, pauses, server.requests())
}

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[test]
fn the_interface_of_openai_is_spoken() {
    let server = Server::new(vec![openai("{}")]);
    let (reply, _, requests) = asked(&config(Api::Openai, ""), server);
    let spent = Spent {
        model: Some("small-1".to_owned()),
        request: Some("chatcmpl-1".to_owned()),
        input_tokens: 600,
        output_tokens: 100,
        cache_read_tokens: Some(400),
        cache_write_tokens: None,
        cost_usd: Some(0.003),
        quality: "measured",
    };
    assert_eq!(reply, Ok(Reply { text: "{}".to_owned(), spent }));
    let request = requests[0].to_lowercase();
    assert!(request.starts_with("post /chat/completions http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: bearer k-123\r\n"), "{request}");
    let messages = json!([{"role": "system", "content": "judge"}, {"role": "user", "content": "task: x"}]);
    assert_eq!(body(&requests[0]), json!({"model": "small", "messages": messages, "max_tokens": 500}));
}

#[test]
fn the_interface_of_anthropic_is_spoken() {
    let server = Server::new(vec![anthropic("{}")]);
    let (reply, _, requests) = asked(&config(Api::Anthropic, ""), server);
    let spent = Spent {
        model: Some("small-2".to_owned()),
        request: Some("msg_1".to_owned()),
        input_tokens: 600,
        output_tokens: 100,
        cache_read_tokens: Some(300),
        cache_write_tokens: Some(100),
        cost_usd: Some(0.003),
        quality: "measured",
    };
    assert_eq!(reply, Ok(Reply { text: "{}".to_owned(), spent }));
    let request = requests[0].to_lowercase();
    assert!(request.starts_with("post /v1/messages http/1.1\r\n"), "{request}");
    for header in ["x-api-key: k-123\r\n", "anthropic-version: 2023-06-01\r\n"] {
        assert!(request.contains(header), "{request}");
    }
    let expected = json!({
        "model": "small", "system": "judge", "messages": [{"role": "user", "content": "task: x"}], "max_tokens": 500,
    });
    assert_eq!(body(&requests[0]), expected);
}

#[test]
fn the_endpoint_is_that_of_the_makers_unless_another_is_named() {
    let of = |api, named: Option<&str>| {
        url(&ModelConfig { api, url: named.map(str::to_owned), ..ModelConfig::default() })
    };
    assert_eq!(of(Api::Openai, None), "https://api.openai.com/v1/chat/completions");
    assert_eq!(of(Api::Openai, Some("http://host:1/v1/")), "http://host:1/v1/chat/completions");
    assert_eq!(of(Api::Anthropic, None), "https://api.anthropic.com/v1/messages");
    assert_eq!(of(Api::Anthropic, Some("http://host:1/v1")), "http://host:1/v1/messages");
    let prompt = Prompt { system: "", user: String::new() };
    let makers = question(&config(Api::Openai, ""), &of(Api::Openai, None), &prompt);
    assert_eq!(makers["max_completion_tokens"], json!(500));
}

#[test]
fn an_endpoint_that_is_busy_or_broken_is_asked_again_and_then_left_alone() {
    let slow_down = Deed::Answer("429 Too Many Requests", "retry-after: 7\r\n", "{}".to_owned());
    let broken = || Deed::Answer("500 Broken", "", "oops".to_owned());
    let openai_config = config(Api::Openai, "");
    let (reply, pauses, _) = asked(&openai_config, Server::new(vec![slow_down, openai("x")]));
    assert_eq!((reply.unwrap().text, pauses), ("x".to_owned(), vec![Duration::from_secs(7)]));
    let (reply, pauses, _) = asked(&openai_config, Server::new(vec![broken(), openai("x")]));
    assert_eq!((reply.unwrap().text, pauses), ("x".to_owned(), vec![Duration::from_millis(500)]));
    let (reply, ..) = asked(&openai_config, Server::new(vec![broken(), broken()]));
    assert_eq!(reply, Err("URL/chat/completions answered 500: oops".to_owned()));
    let hour = Deed::Answer("429 Too Many Requests", "retry-after: 3600\r\n", String::new());
    let (reply, pauses, _) = asked(&openai_config, Server::new(vec![hour]));
    assert_eq!(reply, Err("URL/chat/completions is busy for another 3600 s".to_owned()));
    assert_eq!(pauses, []);
}

#[test]
fn an_endpoint_that_breaks_off_or_says_nothing_gives_no_answer() {
    let patience = ModelConfig { timeout_ms: 200, ..config(Api::Openai, "") };
    // An answer that began is paid for: it is not asked for again.
    for (deed, attempts) in [(Deed::Silence, 2), (Deed::Close, 2), (Deed::Half, 1)] {
        let (reply, pauses, requests) = asked(&patience, Server::new(vec![deed.clone(); attempts]));
        let error = reply.unwrap_err();
        assert!(error.starts_with("URL/chat/completions gave no answer: "), "{deed:?}: {error}");
        assert_eq!((pauses.len() + 1, requests.len()), (attempts, attempts), "{deed:?}");
    }
    let (reply, ..) = asked(&patience, Server::new(vec![Deed::Silence, openai("late")]));
    assert_eq!(reply.unwrap().text, "late");
}

#[test]
fn garbage_and_other_interfaces_are_no_answer_and_are_not_asked_again() {
    let answer = |body: &str| Deed::Answer("200 OK", "", body.to_owned());
    for (body, problem) in [
        ("<html>", "with what is not JSON"),
        ("{\"choices\":[{\"message\"", "with what is not JSON"),
        ("{}", "without a text"),
        ("{\"choices\":[]}", "without a text"),
        ("{\"choices\":[{\"message\":{\"content\":null}}]}", "without a text"),
        ("[1]", "without a text"),
    ] {
        let (reply, ..) = asked(&config(Api::Openai, ""), Server::new(vec![answer(body)]));
        assert_eq!(reply, Err(format!("URL/chat/completions answered {problem}")), "{body}");
    }
    let (reply, ..) = asked(&config(Api::Anthropic, ""), Server::new(vec![openai("{}")]));
    assert_eq!(reply, Err("URL/v1/messages answered without a text".to_owned()));
    let (reply, ..) =
        asked(&config(Api::Openai, ""), Server::new(vec![Deed::Answer("401 No", "", "bad key".to_owned())]));
    assert_eq!(reply, Err("URL/chat/completions answered 401: bad key".to_owned()));
}

#[test]
fn only_the_object_that_was_asked_for_is_worth_anything() {
    let texts = [
        (said("drifting"), true),
        (format!("Sure! {}", said("drifting")), false),
        (format!("{}\nAnything else?", said("drifting")), false),
        (said("drifting").replace("drift_reasons", "reasons"), false),
        (said("drifting")[..40].to_owned(), false),
    ];
    for (text, is_good) in texts {
        let (reply, ..) = asked(&config(Api::Openai, ""), Server::new(vec![openai(&text)]));
        assert_eq!(answer::parse(&reply.unwrap().text).is_ok(), is_good, "{text}");
    }
}

#[test]
fn tokens_are_estimated_only_where_nothing_is_said_of_them() {
    let silent = json!({"choices": [{"message": {"content": "12345678"}}]}).to_string();
    let (reply, _, requests) =
        asked(&config(Api::Openai, ""), Server::new(vec![Deed::Answer("200 OK", "", silent)]));
    let spent = reply.unwrap().spent;
    let sent = requests[0].split_once("\r\n\r\n").unwrap().1.len().div_ceil(4);
    assert_eq!((spent.output_tokens, usize::try_from(spent.input_tokens).unwrap()), (2, sent));
    assert_eq!((spent.quality, spent.model.as_deref()), ("estimated", Some("small")));
}

#[test]
fn the_key_is_that_of_the_variable_and_must_be_there_where_one_is_named() {
    let named = |name: &str| ModelConfig { key_env: Some(name.to_owned()), ..ModelConfig::default() };
    let environment = |name: &str| (name == "SET").then(|| " k \n".to_owned());
    assert_eq!(key(&named("SET"), &environment).unwrap().as_deref(), Some("k"));
    assert_eq!(
        key(&named("UNSET"), &environment).unwrap_err().to_string(),
        "the variable UNSET holds no key"
    );
    assert_eq!(key(&ModelConfig::default(), &environment).unwrap(), None);
}

#[test]
fn an_answer_without_a_text_is_paid_for_all_the_same() {
    let mute = json!({"content": [], "usage": {"input_tokens": 600, "output_tokens": 100}}).to_string();
    for (body, output_tokens) in [(mute, Some(100)), ("{}".to_owned(), None)] {
        let server = Server::new(vec![Deed::Answer("200 OK", "", body)]);
        let prompt = Prompt { system: "", user: String::new() };
        let now = || Timestamp::parse("2026-11-16T09:00:00Z").unwrap();
        let reply = ask(&config(Api::Anthropic, &server.url), None, &prompt, &now, &mut |_| true);
        assert_eq!(
            reply.as_ref().unwrap_err().to_string(),
            format!("{}/v1/messages answered without a text", server.url)
        );
        assert_eq!(spent_on(&reply).map(|spent| spent.output_tokens), output_tokens);
        server.requests();
    }
}

#[test]
fn a_model_that_asks_to_be_left_alone_is_left_alone_but_not_for_longer_than_an_hour() {
    let hour = Deed::Answer("429 Too Many Requests", "retry-after: 7200\r\n", String::new());
    let server = Server::new(vec![hour]);
    let mut model = Model::start(&config(Api::Openai, &server.url)).unwrap();
    let now = Instant::now();
    let later = |seconds| now + Duration::from_secs(seconds);
    assert!(model.is_free(now));
    model.ask("t", Prompt { system: "", user: String::new() }, now);
    assert!(!model.is_free(later(60)), "one question at a time");
    let told = await_value(|| model.told(now));
    assert_eq!((told.task.as_str(), told.reply.is_err()), ("t", true));
    assert_eq!([model.is_free(later(3599)), model.is_free(later(3600))], [false, true]);
    server.requests();
}

/// Asks until there is something, for ten seconds.
pub(in crate::app::summarise) fn await_value<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "nothing came");
        std::thread::sleep(Duration::from_millis(2));
    }
}
