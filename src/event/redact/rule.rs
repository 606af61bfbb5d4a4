//! What secrets look like: one rule per kind, most specific first.
//!
//! A rule has trigger words (any of them must stand in the text, in any case, before its pattern is tried), a pattern, and
//! often a second look at what was found, which keeps names, types, placeholders and sentences out. The forms of keys are
//! those that their providers document; nothing is recognised by entropy.

use regex::{Captures, Regex};
use std::ops::Range;
use std::sync::OnceLock;

/// One kind of secret.
pub(super) struct Rule {
    /// Stands in the replacement.
    pub(super) name: &'static str,
    /// Lowercase words without which the pattern cannot match.
    pub(super) triggers: &'static [&'static str],
    pattern: &'static str,
    accept: fn(&Found<'_>) -> bool,
    regex: OnceLock<Regex>,
}

/// A match, looked at once more.
struct Found<'t> {
    /// What stands before the secret's name.
    before: &'t str,
    /// The secret's name, where the pattern has one.
    key: &'t str,
    /// What stands between name and secret.
    separator: &'t str,
    secret: &'t str,
    quoted: bool,
    after: &'t str,
}

impl Rule {
    /// The compiled pattern.
    pub(super) fn regex(&self) -> &Regex {
        self.regex.get_or_init(|| Regex::new(self.pattern).expect("a constant pattern that a test compiles"))
    }

    /// Where the secret of a match stands: the group `secret` (or one of the groups for quoted values), else all of it.
    pub(super) fn secret(&self, found: &Captures<'_>, text: &str) -> Option<Range<usize>> {
        let whole = found.get(0)?;
        let quoted = ["escaped", "double", "single"].into_iter().find_map(|group| found.name(group));
        let secret = quoted.or_else(|| found.name("secret")).unwrap_or(whole);
        let key = found.name("key");
        let looked_at = Found {
            before: text.get(..key.unwrap_or(whole).start())?,
            key: key.map_or("", |key| key.as_str()),
            separator: found.name("separator").map_or("", |separator| separator.as_str()),
            secret: secret.as_str(),
            quoted: quoted.is_some(),
            after: text.get(secret.end()..)?,
        };
        let is_secret = !is_placeholder(looked_at.secret) && (self.accept)(&looked_at);
        is_secret.then(|| secret.range())
    }
}

/// Names whose values are secret; the end of a longer name is enough (`PGPASSWORD`, `clientSecret`).
macro_rules! key {
    () => {
        "(?P<key>passw(?:or)?d|passphrase|pwd|secret(?:[_-]?(?:access[_-]?)?key(?:[_-]?base)?)?|token|authorization\
         |(?:api|auth|access|private|signing|encryption|account)[_ -]?key|connection[_-]?string|cookie|credentials?)"
    };
}

macro_rules! value {
    () => {
        r#"(?:\\+"(?P<escaped>[^"\\]*)|"(?P<double>(?:[^"\\]|\\.)*)|'(?P<single>(?:[^'\\]|\\.)*)|(?P<secret>[^\s"'`,;&|<>(){}\[\]\\]+))"#
    };
}

/// All rules, in the order they are applied. At most 64.
pub(super) static RULES: [Rule; 37] = [
    certain(
        "private_key",
        &["private key"],
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|$)",
    ),
    certain("jwt", &["eyj"], r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"),
    certain("aws_access_key", &["akia", "asia"], r"(?:\b|\\[nrt])(?P<secret>(?:AKIA|ASIA)[A-Z0-9]{16})\b"),
    certain("github_token", &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"], r"gh[pousr]_[A-Za-z0-9_]{36,}"),
    certain("github_token", &["github_pat_"], r"github_pat_[A-Za-z0-9_]{22,}"),
    certain(
        "gitlab_token",
        &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"],
        r"gl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_.-]{20,}",
    ),
    certain("anthropic_key", &["sk-ant-"], r"sk-ant-[A-Za-z0-9_-]{16,}"),
    certain(
        "openai_key",
        &["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-or-v1-"],
        r"sk-(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{16,}",
    ),
    looked_at("openai_key", &["sk-"], r"(?:\b|\\[nrt])(?P<secret>sk-[A-Za-z0-9]{20,})", |found| {
        mixes_letters_and_digits(found.secret)
    }),
    certain("slack_token", &["xox"], r"xox[abeoprs]-[A-Za-z0-9-]{10,}"),
    certain("slack_token", &["xapp-"], r"xapp-[0-9]-[A-Za-z0-9-]{10,}"),
    certain(
        "slack_webhook",
        &["hooks.slack.com"],
        r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9/_-]{10,})",
    ),
    certain(
        "discord_webhook",
        &["/api/webhooks/"],
        r"/api/webhooks/(?P<secret>[0-9]{10,}/[A-Za-z0-9_-]{20,})",
    ),
    certain("google_key", &["aiza"], r"AIza[A-Za-z0-9_-]{35}"),
    certain("google_token", &["ya29.", "gocspx-"], r"(?:ya29\.|GOCSPX-)[A-Za-z0-9_-]{20,}"),
    certain("npm_token", &["npm_"], r"npm_[A-Za-z0-9]{30,}"),
    certain("pypi_token", &["pypi-age"], r"pypi-AgE[A-Za-z0-9_-]{40,}"),
    certain("crates_token", &["cio"], r"(?:\b|\\[nrt])(?P<secret>cio[A-Za-z0-9]{32})\b"),
    certain("hugging_face_token", &["hf_"], r"hf_[A-Za-z0-9]{30,}"),
    certain("stripe_key", &["_live_", "_test_"], r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}"),
    certain("webhook_secret", &["whsec_"], r"whsec_[A-Za-z0-9+/=]{20,}"),
    certain(
        "sendgrid_key",
        &["sg."],
        r"(?:\b|\\[nrt])(?P<secret>SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,})",
    ),
    certain("telegram_token", &[":aa"], r"(?:\b|\\[nrt])(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{33})"),
    certain("digitalocean_token", &["_v1_"], r"do[opr]_v1_[a-f0-9]{64}"),
    certain("vault_token", &["hvs.", "hvb."], r"(?:\b|\\[nrt])(?P<secret>hv[sb]\.[A-Za-z0-9_-]{24,})"),
    certain("docker_token", &["dckr_pat_"], r"dckr_pat_[A-Za-z0-9_-]{20,}"),
    certain("groq_key", &["gsk_"], r"gsk_[A-Za-z0-9]{40,}"),
    certain("age_key", &["age-secret-key-"], r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
    certain(
        "azure_key",
        &["accountkey=", "sharedaccesskey="],
        r"(?i)(?:account|sharedaccess)key=(?P<secret>[A-Za-z0-9+/]{20,}={0,2})",
    ),
    certain(
        "signature",
        &["sig=", "signature="],
        r"(?i)[?&](?:sig|signature|x-amz-signature|x-goog-signature)=(?P<secret>[A-Za-z0-9%+/=_-]{16,})",
    ),
    looked_at(
        "url_password",
        &["://"],
        r#"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@?#"'<>]*:(?P<secret>[^\s/?#"'<>]+)@"#,
        |_| true,
    ),
    looked_at(
        "authorization",
        &["authorization"],
        r#"(?i)authorization\\*["']?\s*[:=,]\s*\\*["']?(?:bearer|basic|token|digest|negotiate|apikey|key)\s+(?P<secret>[^\s"'\\,;]+)"#,
        |found| is_credential(found.secret),
    ),
    looked_at("bearer", &["bearer"], r"(?i)\bbearer\s+(?P<secret>[A-Za-z0-9._~+/-]{8,}=*)", |found| {
        is_credential(found.secret)
    }),
    looked_at(
        "cookie",
        &["cookie"],
        r#"(?i)\b(?:set-)?cookie\\*["']?\s*:\s*\\*["']?(?P<secret>[^\s=;"']+=[^\n"'\\]+)"#,
        |_| true,
    ),
    looked_at(
        "login",
        &["curl", "sshpass", "mysql", "mariadb"],
        r#"\bcurl\b[^|\n]*?\s(?:-u|--user)[ =]*["']?[^\s:"'\[]+:(?P<secret>[^\s"']+)|\bsshpass\s+-p\s*["']?(?P<single>[^\s"']+)|\b(?:mysql|mysqldump|mysqladmin|mariadb)\b[^|;\n]*?\s-p["']?(?P<double>[^\s"']+)"#,
        |_| true,
    ),
    looked_at(
        "named_value",
        KEY_WORDS,
        concat!(r"(?i)", key!(), r#"(?P<separator>\\*(?:["'`]\]?)?\s*(?::=|=>|==?|:)\s*)"#, value!()),
        is_named_value,
    ),
    looked_at(
        "named_value",
        KEY_WORDS,
        concat!(r"(?i)--(?:[a-z0-9]+-)*", key!(), r"(?P<separator>\s+)", value!()),
        is_flag_value,
    ),
];

const KEY_WORDS: &[&str] = &[
    "passwd",
    "password",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "authorization",
    "apikey",
    "api_key",
    "api-key",
    "api key",
    "authkey",
    "auth_key",
    "auth-key",
    "accesskey",
    "access_key",
    "access-key",
    "access key",
    "privatekey",
    "private_key",
    "private-key",
    "signingkey",
    "signing_key",
    "signing-key",
    "encryptionkey",
    "encryption_key",
    "encryption-key",
    "accountkey",
    "account_key",
    "connection_string",
    "connectionstring",
    "connection-string",
    "cookie",
    "credential",
];

const fn looked_at(
    name: &'static str,
    triggers: &'static [&'static str],
    pattern: &'static str,
    accept: fn(&Found<'_>) -> bool,
) -> Rule {
    Rule { name, triggers, pattern, accept, regex: OnceLock::new() }
}

/// A rule whose pattern only secrets match.
const fn certain(name: &'static str, triggers: &'static [&'static str], pattern: &'static str) -> Rule {
    looked_at(name, triggers, pattern, |_| true)
}

/// Whether the value of an environment variable of this name is a secret, and not where one lies.
pub(super) fn is_secret_variable(name: &str) -> bool {
    const PLACES: [&str; 6] = ["_file", "_path", "_dir", "_sock", "_url", "pwd"];
    let name = name.to_ascii_lowercase();
    KEY_WORDS.iter().any(|word| name.contains(word)) && !PLACES.iter().any(|place| name.ends_with(place))
}

/// Whether the value of such a variable looks like the secret itself.
pub(super) fn is_secret_value(value: &str) -> bool {
    const LONG: usize = 16;
    !is_path(value) && (looks_chosen(value) || value.len() >= LONG)
}

/// `name=value`, `"name": "value"`, `name: value` and the like.
fn is_named_value(found: &Found<'_>) -> bool {
    // Names that also have a harmless meaning, such as the token of a parser.
    let is_weak = ["token", "cookie", "authorization", "credential", "credentials"]
        .iter()
        .any(|word| found.key.eq_ignore_ascii_case(word));
    let length_min = if is_weak { 6 } else { 4 };
    let is_tight = found.separator.trim_start_matches(['\\', '"', '\'', '`', ']']).trim_start() == "="
        && !found.separator.contains(' ');
    if found.secret.len() < length_min
        || is_word_of_no_secret(found.secret, found.key)
        || is_parser_token(found)
        || (found.key.eq_ignore_ascii_case("pwd") && is_path(found.secret))
    {
        return false;
    }
    if found.quoted {
        let has_space = found.secret.contains(char::is_whitespace);
        return !has_space || (is_tight && !is_weak) || found.secret.contains(['=', ';']);
    }
    if is_expression(found) || is_path(found.secret) {
        return false;
    }
    let is_number = found.secret.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match (is_number, is_tight) {
        (true, _) => !is_weak && !found.secret.contains('.'),
        (false, true) => true,
        (false, false) => looks_chosen(found.secret),
    }
}

/// `--name value`.
fn is_flag_value(found: &Found<'_>) -> bool {
    let is_value = !found.secret.starts_with('-') && !is_path(found.secret);
    is_value
        && found.secret.len() >= 4
        && !found.secret.contains(char::is_whitespace)
        && (found.quoted || looks_chosen(found.secret))
}

/// What stands for a secret that is elsewhere, or was taken out already.
fn is_placeholder(secret: &str) -> bool {
    let Some(first) = secret.chars().next() else { return true };
    matches!(first, '$' | '<' | '{' | '%')
        || secret.starts_with("[redacted:")
        || secret.chars().all(|c| c == first)
        || secret.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("your"))
}

/// Words that follow a secret's name in messages and code; and the name itself (`password=password`).
fn is_word_of_no_secret(secret: &str, key: &str) -> bool {
    const WORDS: [&str; 36] = [
        "basic",
        "bearer",
        "boolean",
        "bytes",
        "denied",
        "digest",
        "disabled",
        "empty",
        "enabled",
        "expected",
        "expired",
        "false",
        "found",
        "hidden",
        "include",
        "incorrect",
        "invalid",
        "masked",
        "missing",
        "negotiate",
        "none",
        "null",
        "number",
        "omitted",
        "optional",
        "required",
        "revoked",
        "same-origin",
        "string",
        "true",
        "undefined",
        "unknown",
        "unset",
        "unexpected",
        "valid",
        "wrong",
    ];
    let word = secret.trim_end_matches(['.', '!', '?', ':']);
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) || word.eq_ignore_ascii_case(key)
}

/// `Unexpected token: …`, as parsers say.
fn is_parser_token(found: &Found<'_>) -> bool {
    const SAID: [&str; 8] =
        ["unexpected", "unknown", "unrecognized", "illegal", "expected", "next", "current", "missing"];
    let before = found.before.trim_end().to_ascii_lowercase();
    found.key.eq_ignore_ascii_case("token") && SAID.iter().any(|word| before.ends_with(word))
}

/// Code that gets the secret from somewhere: a call, an index, a path of names, a type.
fn is_expression(found: &Found<'_>) -> bool {
    const OWNERS: [&str; 14] = [
        "self", "this", "process", "os", "env", "config", "settings", "secrets", "args", "req", "request",
        "options", "props", "ctx",
    ];
    let owner = found.secret.split_once('.').map_or("", |(owner, _)| owner);
    OWNERS.contains(&owner)
        || found.secret.starts_with([':', '='])
        || found.secret.contains("::")
        || found.after.starts_with(['(', '[', '{', '<', '!'])
}

fn is_path(text: &str) -> bool {
    let is_rooted = ["/", "./", "../", "~", ".\\"].iter().any(|root| text.starts_with(root));
    let has_drive =
        text.as_bytes().get(1) == Some(&b':') && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-~\\:".contains(&byte));
    (is_plain && (is_rooted || has_drive)) || text.contains("://")
}

/// Whether a word looks chosen as a secret rather than as a word, a type or a version.
fn looks_chosen(word: &str) -> bool {
    let word = word.trim_end_matches(['.', '!', '?', ':']);
    let is_version = word.trim_start_matches('v').bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let has_symbol = word.contains(['!', '@', '#', '$', '%', '^', '*', '+']);
    let has_letter = word.bytes().any(|byte| byte.is_ascii_alphabetic());
    !is_version
        && ((word.len() >= 6 && has_symbol && has_letter)
            || (word.len() >= 7 && mixes_letters_and_digits(word)))
}

fn is_credential(text: &str) -> bool {
    let changes = text.as_bytes().windows(2).filter(
        |pair| matches!(pair, [before, after] if before.is_ascii_lowercase() && after.is_ascii_uppercase()),
    );
    let is_one_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'=');
    looks_chosen(text) || (text.len() >= 8 && changes.count() >= 3) || (text.len() >= 20 && is_one_word)
}

fn mixes_letters_and_digits(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}
