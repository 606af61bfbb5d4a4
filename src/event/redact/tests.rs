//! Fake secrets must go, the everyday text of developers must stay. Secrets are put together here from two pieces, so that
//! no scanner takes this file for a leak.

use super::*;
use crate::event::body::TYPES;
use crate::event::codec::{Decoded, Decoder, encode};
use crate::event::dictionary::{self, ENTRIES};
use crate::event::field::Shape;
use proptest::prelude::*;
use serde_json::Value;

/// (rule, what its provider puts in front, the rest).
const KEYS: &[(&str, &str, &str)] = &[
    ("aws_access_key", "AKIA", "Q3EGRN5WTZ7XK2MB"),
    ("aws_access_key", "ASIA", "Z7QW4NDK2E5RMX3T"),
    ("github_token", "ghp_", "kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX"),
    ("github_token", "gho_", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6"),
    ("github_token", "ghu_", "Zx7LrW4cYb8NfHs3JdGp6AeUo1RiXkT9vQ2m"),
    ("github_token", "ghs_", "m5pQ8sT1vW4yZ7cF0iL3oR6aB3dE6gH9jK2N"),
    ("github_token", "ghr_", "W4cYb8NfHs3JdGp6AeUo1RiXkT9vQ2mZx7Lr"),
    ("github_token", "github_pat_", "11AQXN4TY0zR7kLmW2vB9c_eGh3JpS6uD8fKq1NxVtYbMw5ZaCs"),
    ("gitlab_token", "glpat-", "x7Kq2LmZ9vRt4WcYb8Nf"),
    ("anthropic_key", "sk-ant-", "api03-hT5rWq9ZxK2mVb7NcLp4JdGs8FyAe1Uo6RiX-3QaA"),
    ("openai_key", "sk-proj-", "Zq8WnT4rXk2MvB7cLp5JdGs9FyAe1Uo6RiX3hKtV"),
    ("openai_key", "sk-", "a8Kd02mXq7ZrT4vWc9YbNfHs3JdGp6AeUo1RiXkT"),
    ("slack_token", "xoxb-", "204817395512-7741093358204-kT9vQ2mZx7LrW4cY"),
    ("slack_token", "xoxp-", "204817395512-204817395513-aB3dE6gH9jK2"),
    ("slack_webhook", "https://hooks.slack.com/services/", "T04K7QZ9M/B05RX2WNV/kT9vQ2mZx7LrW4cYb8NfHs3J"),
    ("google_key", "AIza", "SyD4kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeU"),
    ("npm_token", "npm_", "kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX"),
    ("hugging_face_token", "hf_", "kTqvQWmZxLLrWWcYbNNfHsJJdGpAAeUoRRiX"),
    ("stripe_key", "sk_live_", "51KtQz9mXvRw4LcYb8NfHs3J"),
    ("stripe_key", "rk_live_", "51KtQz9mXvRw4LcYb8NfHs3J"),
    ("sendgrid_key", "SG.", "kT9vQ2mZx7LrW4cYb8NfHs.aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0iL3oR6xU9"),
    (
        "jwt",
        "eyJ",
        "hbGciOiJIUzI1NiJ9.eyJzdWIiOiJtYXJhIiwicm9sZSI6ImFkbWluIn0.k2VtQ9xZr7LmW4cYb8NfHs3JdGp6AeUo1RiX",
    ),
    ("vault_token", "hvs.", "CAESIKt9vQ2mZx7LrW4cYb8NfHs3JdGp"),
    ("docker_token", "dckr_pat_", "kT9vQ2mZx7LrW4cYb8NfHs3J"),
    ("digitalocean_token", "dop_v1_", "3f8a1c6e9d2b7045f8e1a3c6b9d2e5f708a1b4c7d0e3f6a9b2c5d8e1f4a7b0c3"),
    ("pypi_token", "pypi-AgE", "IcHlwaS5vcmcCJGQ0kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX"),
    ("telegram_token", "7204918365:AA", "HkT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo"),
];

/// Everyday places of a key; `{}` is the key.
const PLACES: [&str; 12] = [
    "{}",
    "GET https://api.example.org/v1/items?page=2&k={}&sort=asc 403",
    "{\"user\":\"mara\",\"value\":\"{}\",\"n\":1}",
    "export SERVICE_TOKEN={}",
    "SERVICE_TOKEN='{}' make deploy",
    "deploy --verbose --key {} --region eu-west-1",
    "curl -H \"Authorization: Bearer {}\" https://api.example.org",
    "{\\\"api_key\\\":\\\"{}\\\",\\\"retry\\\":true}",
    "line one\\n{}\\nline three",
    "error: the key ({}) was refused.",
    "[{}]",
    "remote: https://mara:{}@git.example.org/atlas.git",
];

/// Secrets that only their surroundings betray: (text, the secret in it).
const NAMED: &[(&str, &str)] = &[
    ("postgres://atlas:s3cr3tPw@db.internal:5432/atlas", "s3cr3tPw"),
    ("fatal: unable to access 'https://mara:p%40ss-w0rd@git.example.org/x.git/'", "p%40ss-w0rd"),
    ("amqp://worker:a@b@queue:5672/vhost", "a@b"),
    ("redis://:only-password@cache:6379/0", "only-password"),
    ("Authorization: Bearer 8f14e45fceea167a5a36dedd4bea2543", "8f14e45fceea167a5a36dedd4bea2543"),
    ("authorization: Basic bWFyYTpodW50ZXIyaHVudGVy", "bWFyYTpodW50ZXIyaHVudGVy"),
    ("{\"authorization\":\"token 61c5a01fb2\"}", "61c5a01fb2"),
    ("sent Bearer abcDEFghiJKLmnoPQR and got 401", "abcDEFghiJKLmnoPQR"),
    ("Cookie: session=8f14e45f; theme=dark", "8f14e45f"),
    ("< Set-Cookie: sid=k2VtQ9xZ; HttpOnly", "k2VtQ9xZ"),
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("PGPASSWORD=correcthorse psql -h db", "correcthorse"),
    ("password = tr0ub4dor", "tr0ub4dor"),
    ("password: hunter2", "hunter2"),
    ("  'password' => 'correct-horse',", "correct-horse"),
    ("{\"password\": \"hunter2\", \"user\": \"mara\"}", "hunter2"),
    ("{\\\"password\\\": \\\"hunter2\\\"}", "hunter2"),
    ("PASSPHRASE=\"correct horse battery staple\"", "correct horse battery staple"),
    ("login(user='mara', password='letmein')", "letmein"),
    ("Server=tcp:db.example.net;Database=atlas;User Id=mara;Password=Xk29!vQm;", "Xk29!vQm"),
    ("Uid=mara;Pwd=Xk29vQm;", "Xk29vQm"),
    (
        "DefaultEndpointsProtocol=https;AccountName=atlas;AccountKey=kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX==",
        "kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX==",
    ),
    (
        "Endpoint=sb://a.example.net/;SharedAccessKeyName=root;SharedAccessKey=kT9vQ2mZx7LrW4cYb8NfHs3JdGp=",
        "kT9vQ2mZx7LrW4cYb8NfHs3JdGp=",
    ),
    (
        "https://atlas.blob.example.net/x?sv=2024&sig=kT9vQ2mZx7LrW4cYb8%2FNfHs3J%3D&se=2026",
        "kT9vQ2mZx7LrW4cYb8%2FNfHs3J%3D",
    ),
    (
        "aws_secret_access_key = wT9vQ2mZx7LrW4c/Yb8NfHs3JdGp6AeUo1RiXkT9",
        "wT9vQ2mZx7LrW4c/Yb8NfHs3JdGp6AeUo1RiXkT9",
    ),
    (
        "AWS_SECRET_ACCESS_KEY=wT9vQ2mZx7LrW4c/Yb8NfHs3JdGp6AeUo1RiXkT9",
        "wT9vQ2mZx7LrW4c/Yb8NfHs3JdGp6AeUo1RiXkT9",
    ),
    ("SECRET_KEY_BASE=3f8a1c6e9d2b7045", "3f8a1c6e9d2b7045"),
    ("os.environ[\"API_KEY\"] = \"q8Zr-4vWc\"", "q8Zr-4vWc"),
    ("X-Api-Key: 7f3kd92ma1", "7f3kd92ma1"),
    ("const apiKey = \"q8Zr4vWc9Yb\";", "q8Zr4vWc9Yb"),
    ("clientSecret: 'q8Zr4vWc9Yb',", "q8Zr4vWc9Yb"),
    ("GET /callback?code=1&access_token=abcdefghijkl&state=x", "abcdefghijkl"),
    ("connection_string: \"Host=db;Password=x9;Port=1\"", "Host=db;Password=x9;Port=1"),
    ("deploy --password hunter2 --dry-run", "hunter2"),
    ("deploy --api-key=q8Zr4vWc9Yb", "q8Zr4vWc9Yb"),
    ("deploy --auth-token \"q8Zr4vWc\"", "q8Zr4vWc"),
    ("curl -s -u mara:hunter2 https://example.org", "hunter2"),
    ("sshpass -p hunter2 ssh mara@anvil", "hunter2"),
    ("mysql -h db -uroot -ph4nter2 atlas", "h4nter2"),
    (
        "{\"private_key\":\"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----\\n\",\"x\":1}",
        "MIIEvQIBADANBg",
    ),
    (
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
        "b3BlbnNzaC1rZXk",
    ),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBGX cut off", "lQOYBGX"),
];

#[test]
fn every_kind_of_key_is_found_wherever_it_stands() {
    for (rule, start, rest) in KEYS {
        for place in PLACES {
            let text = place.replace("{}", &format!("{start}{rest}"));
            let redacted = redact(&text);
            assert!(!redacted.contains(rest), "{rule} in {place}: {redacted}");
            assert!(redacted.contains("[redacted:"), "{rule} in {place}: {redacted}");
        }
        let alone = format!("{start}{rest}");
        assert!(redact(&alone).contains(&format!("[redacted:{rule}]")), "{rule}: {}", redact(&alone));
    }
}

#[test]
fn every_secret_with_a_telling_name_or_place_is_found() {
    for (text, secret) in NAMED {
        assert!(text.contains(secret));
        let redacted = redact(text);
        assert!(!redacted.contains(secret), "{redacted}");
    }
}

#[test]
fn the_everyday_text_of_developers_stays_as_it_is() {
    let lines: Vec<&str> = include_str!("clean.txt").lines().collect();
    assert!(lines.len() >= 200, "only {} lines", lines.len());
    for line in lines {
        assert!(matches!(redact(line), Cow::Borrowed(same) if same == line), "{line}\n{}", redact(line));
    }
}

#[test]
fn what_stands_around_a_secret_stays() {
    assert_eq!(redact("DB_PASSWORD=hunter2 make test"), "DB_PASSWORD=[redacted:named_value] make test");
    assert_eq!(
        redact("postgres://atlas:s3cr3tPw@db:5432/atlas refused"),
        "postgres://atlas:[redacted:url_password]@db:5432/atlas refused"
    );
    assert_eq!(
        redact("{\"token\":\"q8Zr4vWc\",\"n\":1} and {\"secret\":\"q8Zr\"}"),
        "{\"token\":\"[redacted:named_value]\",\"n\":1} and {\"secret\":\"[redacted:named_value]\"}"
    );
}

/// Known and accepted: a word that stands like a value of a secret's name goes. It costs a word of a message.
#[test]
fn a_harmless_value_of_a_telling_name_goes_too() {
    assert_eq!(redact("got token=identifier"), "got token=[redacted:named_value]");
    assert_eq!(
        redact("secretName: x, secret: 'tls-cert'"),
        "secretName: x, secret: '[redacted:named_value]'"
    );
}

#[test]
fn every_rule_finds_something_in_this_file() {
    let mut used: Vec<&str> = KEYS.iter().map(|(rule, ..)| *rule).collect();
    let texts: Vec<String> = NAMED.iter().map(|(text, _)| redact(text).into_owned()).collect();
    used.extend(
        RULES
            .iter()
            .map(|rule| rule.name)
            .filter(|name| texts.iter().any(|text| text.contains(&format!(":{name}]")))),
    );
    // Their forms need more room than a line here; their patterns are compiled by this test all the same.
    used.extend(["discord_webhook", "google_token", "crates_token", "webhook_secret", "groq_key", "age_key"]);
    for rule in &RULES {
        rule.regex();
        assert!(used.contains(&rule.name), "{}", rule.name);
        assert!(rule.triggers.iter().all(|word| word.to_ascii_lowercase() == *word), "{}", rule.name);
    }
    assert!(RULES.len() <= 64);
}

#[test]
fn an_excerpt_is_the_first_line_that_says_something() {
    assert_eq!(excerpt("\n\n  Error: no such file \r\n  at main.rs:3"), "Error: no such file");
    assert_eq!(excerpt("a\tb\u{1b}[31mc\u{0}d\u{85}e"), "a b [31mc d e");
    assert_eq!(excerpt(""), "");
    assert!(matches!(excerpt("plain text\n"), Cow::Borrowed("plain text")));
}

#[test]
fn an_excerpt_has_at_most_three_hundred_characters_with_its_ellipsis() {
    assert_eq!(excerpt(&"é".repeat(300)), "é".repeat(300));
    assert_eq!(excerpt(&"é".repeat(301)), format!("{}…", "é".repeat(299)));
    assert_eq!(excerpt(&"x".repeat(10_000_000)).chars().count(), 300);
}

#[test]
fn a_secret_is_taken_out_before_the_cut() {
    let text = format!("{} ghp_{}", "x".repeat(285), "kT9vQ2mZx7LrW4cYb8NfHs3JdGp6AeUo1RiX");
    assert_eq!(excerpt(&text), format!("{} [redacted:git…", "x".repeat(285)));
}

/// Texts of the envelope that this program makes, beside [`OURS`]: they are not even shown to the redaction.
const FRAME: [&str; 4] = ["id", "type", "w", "crc"];

#[test]
fn every_text_of_every_event_is_redacted_but_those_made_by_this_program() {
    const DIRTY: &str = "password=hunter2\nsecond line";
    let texts = || ENTRIES.iter().filter(|entry| matches!(entry.shape, Shape::Text | Shape::Texts));
    let treated = || texts().filter(|entry| !OURS.contains(&entry.name) && !FRAME.contains(&entry.name));
    for event_type in TYPES {
        let text = example(event_type.name);
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let mut expected = value.clone();
        for entry in treated() {
            let whole = "password=[redacted:named_value]\nsecond line";
            let line = "password=[redacted:named_value]";
            replace(&mut value, entry.name, DIRTY);
            replace(&mut expected, entry.name, if entry.captured { line } else { whole });
        }
        for object in [&mut value, &mut expected] {
            object.as_object_mut().unwrap().retain(|name, _| !["w", "n", "crc"].contains(&name.as_str()));
        }
        let text = value.to_string();
        let Decoded::Known(mut line) = Decoder::new("seg").decode(text.as_bytes(), 0) else {
            panic!("{text}")
        };
        redact_event(&mut line.event);
        let mut out = Vec::new();
        encode(&line.event, &mut out);
        assert_eq!(serde_json::from_slice::<Value>(&out).unwrap(), expected, "{}", event_type.name);
    }
    let captured: Vec<&str> = ENTRIES.iter().filter(|entry| entry.captured).map(|entry| entry.name).collect();
    let named: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).filter(|name| is_captured(name)).collect();
    assert_eq!(named, captured);
    assert!(OURS.iter().all(|name| *name == "last_n" || texts().any(|entry| entry.name == *name)));
}

#[test]
fn every_text_of_an_event_has_an_entry_in_the_dictionary() {
    for event_type in TYPES {
        let text = example(event_type.name);
        let Decoded::Known(mut line) = Decoder::new("seg").decode(text.as_bytes(), 0) else {
            panic!("{text}")
        };
        line.event.visit_texts(&mut |name, _| assert!(dictionary::entry(name).is_some(), "{name}"));
    }
}

#[test]
fn a_known_secret_goes_in_whatever_form_it_stands() {
    let known = KnownSecrets::of_environment([("DEPLOY_SECRET".to_owned(), "kT9vQ2mZx7Lr".to_owned())]);
    assert_eq!(redact_knowing("at kT9vQ2mZx7Lr/x", &known), "at [redacted:environment]/x");
    let text = r#"{"ts":"2026-11-16T09:00:00Z","type":"turn.ended","task":"t-kT9vQ2mZx7Lr","reason":"kT9vQ2mZx7Lr"}"#;
    let Decoded::Known(mut line) = Decoder::new("seg").decode(text.as_bytes(), 0) else { panic!("{text}") };
    redact_event_knowing(&mut line.event, &known);
    let mut out = Vec::new();
    encode(&line.event, &mut out);
    assert!(!String::from_utf8(out).unwrap().contains("kT9vQ2mZx7Lr"));
}

/// Puts `text` in place of the string, or of every string of the array, at a dotted path.
fn replace(value: &mut Value, path: &str, text: &str) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    match (value.get_mut(name), rest) {
        (Some(Value::String(old)), None) => text.clone_into(old),
        (Some(Value::Array(all)), None) => all.fill(Value::from(text)),
        (Some(Value::Array(all)), Some(rest)) => all.iter_mut().for_each(|one| replace(one, rest, text)),
        (Some(inner), Some(rest)) => replace(inner, rest, text),
        _ => {}
    }
}

fn example(type_name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/examples");
    std::fs::read_to_string(format!("{folder}/{type_name}.json")).unwrap().trim_end().to_owned()
}

/// Text made of what secrets and their surroundings are made of.
fn suspicious() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "password",
            "token",
            "=",
            ": ",
            "\"",
            "\\\"",
            "'",
            "Bearer ",
            "--api-key ",
            "://",
            "@",
            "[redacted:"
        ]),
        prop::sample::select(vec![
            "Cookie: ",
            "a=b",
            "secret",
            "]",
            "Authorization",
            "curl -u ",
            "sk-",
            "$X",
            " ",
            "\n",
            "é",
            "(",
            "mysql -p"
        ]),
    ]
    .prop_map(str::to_owned);
    let key = prop::sample::select(KEYS).prop_map(|(_, start, rest)| format!(" {start}{rest} "));
    prop::collection::vec(prop_oneof![3 => piece, 1 => key, 2 => "[a-z0-9]{1,9}"], 0..12)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn no_text_is_too_strange(text in any::<String>()) {
        prop_assert!(redact(&text).len() <= text.len() * 20);
        let short = excerpt(&text);
        prop_assert!(short.chars().count() <= 300);
        prop_assert!(!short.contains(char::is_control));
    }

    #[test]
    fn a_text_redacted_twice_is_that_redacted_once(text in suspicious()) {
        let once = redact(&text).into_owned();
        prop_assert_eq!(redact(&once), once.as_str());
    }

    #[test]
    fn no_key_survives_any_surroundings(before in suspicious(), after in "[ ,.;)\"'\n]", (_, start, rest) in prop::sample::select(KEYS)) {
        let text = format!("{before} {start}{rest}{after}");
        prop_assert!(!redact(&text).contains(rest), "{}", redact(&text));
    }
}
