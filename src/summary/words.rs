//! Texts and paths as words that can be compared: in lower case, split where people and programs split them, without those
//! that say nothing, cut to a simple stem.
//!
//! No dictionary and no language is assumed beyond English endings: a wrong stem is harmless as long as both sides get it.

/// Words without content, and those that every task has.
const STOP_WORDS: &str = " a about above add after again all also an and any are as at be because been before both but by \
    can change check code could create did do does done each ensure every file files find fix for from get give had has have \
    help how i if implement in into is it its just let like look make may more most must my need new no not now of off on \
    one only or other our out over please project see set should so some such task than that the their them then there these \
    they this those through to too try under up update us use used using very want was we were what when where which while \
    who why will with work would write you your ";
/// Parts of paths that stand in every project.
const PATH_WORDS: &str = " src lib bin usr home tmp var main mod index init rs py js ts tsx jsx go java rb cpp hpp json toml \
    yaml yml md txt html css lock cfg ini sh ";
/// A shorter word says nothing.
const WORD_CHARS_MIN: usize = 2;
/// A stem that begins another one stands for it from this length on: `auth` for `authentication`.
const PREFIX_CHARS_MIN: usize = 4;
/// No text has more words that are looked at.
const WORDS_MAX: usize = 64;

/// One word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it stands there, in lower case.
    pub text: String,
    /// What it is compared by.
    stem: String,
}

impl Word {
    /// Whether both are forms of one word.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let (short, long) = if self.stem.len() <= other.stem.len() { (self, other) } else { (other, self) };
        short.stem == long.stem
            || (short.stem.chars().count() >= PREFIX_CHARS_MIN && long.stem.starts_with(&short.stem))
    }

    /// Whether it is written in Latin letters without accents, as the names of files are.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.text.is_ascii()
    }
}

/// The words with content of a text or a path, each once, in their order.
#[must_use]
pub fn words(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for piece in pieces(text) {
        let lower = piece.to_lowercase();
        let spaced = format!(" {lower} ");
        let says_nothing = lower.chars().count() < WORD_CHARS_MIN
            || lower.chars().all(char::is_numeric)
            || STOP_WORDS.contains(&spaced)
            || PATH_WORDS.contains(&spaced);
        if says_nothing {
            continue;
        }
        let stem = stem(&lower);
        if !found.iter().any(|word| word.stem == stem) {
            found.push(Word { text: lower, stem });
        }
        if found.len() >= WORDS_MAX {
            break;
        }
    }
    found
}

/// Split at all that is neither letter nor digit, and where a capital follows a small letter or begins the last word of a
/// row of capitals: `HTTPServer` is `HTTP` and `Server`.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).flat_map(humps)
}

fn humps(run: &str) -> Vec<&str> {
    let places: Vec<(usize, char)> = run.char_indices().collect();
    let mut cuts = vec![0];
    for window in places.windows(2) {
        let [(_, before), (place, here)] = window else { continue };
        let next = run.get(place + here.len_utf8()..).and_then(|rest| rest.chars().next());
        let ends_capitals = before.is_uppercase() && next.is_some_and(char::is_lowercase);
        if here.is_uppercase() && (before.is_lowercase() || ends_capitals) {
            cuts.push(*place);
        }
    }
    cuts.push(run.len());
    cuts.windows(2).filter_map(|cut| run.get(*cut.first()?..*cut.last()?)).collect()
}

/// The word without the endings that English gives its forms.
fn stem(word: &str) -> String {
    const ENDINGS: [&str; 9] = ["ations", "ation", "ings", "ing", "ers", "ies", "er", "ed", "es"];
    const STEM_CHARS_MIN: usize = 3;
    let long_enough = |stem: &&str| stem.chars().count() >= STEM_CHARS_MIN;
    if !word.is_ascii() {
        return word.to_owned();
    }
    let bare = ENDINGS.iter().find_map(|ending| word.strip_suffix(ending).filter(long_enough));
    let bare =
        bare.or_else(|| word.strip_suffix('s').filter(|stem| long_enough(stem) && !stem.ends_with('s')));
    let bare = bare.unwrap_or(word);
    let bare = bare.strip_suffix(['e', 'y', 'i']).filter(long_enough).unwrap_or(bare);
    let mut letters = bare.chars().rev();
    let is_double =
        matches!((letters.next(), letters.next()), (Some(a), Some(b)) if a == b && !"aeiousl".contains(a));
    let shorter =
        bare.get(..bare.len().saturating_sub(1)).filter(|shorter| is_double && long_enough(shorter));
    shorter.unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    fn are_alike(a: &str, b: &str) -> bool {
        words(a).iter().any(|word| words(b).iter().any(|other| word.is_like(other)))
    }

    #[test]
    fn paths_and_names_are_split_as_they_are_read() {
        assert_eq!(texts("src/parser/HTTPServer_test-case.rs"), ["parser", "http", "server", "test", "case"]);
        assert_eq!(texts("parseHeaders(x2)"), ["parse", "headers", "x2"]);
        assert_eq!(texts("Größe der Überschrift"), ["größe", "der", "überschrift"]);
    }

    #[test]
    fn words_without_content_are_left_out_and_each_stands_once() {
        assert_eq!(texts("Please fix the parser, and then the parsers of 2026"), ["parser"]);
        assert_eq!(texts("Update all of the files"), Vec::<String>::new());
    }

    #[test]
    fn forms_of_a_word_are_like_it_and_other_words_are_not() {
        for (a, b) in [
            ("parsing", "parser"),
            ("parse", "parsed"),
            ("tests", "testing"),
            ("running", "runs"),
            ("caches", "caching"),
            ("query", "queries"),
            ("auth", "authentication"),
            ("configuration", "config"),
            ("migrate", "migrations"),
            ("class", "classes"),
        ] {
            assert!(are_alike(a, b), "{a} {b}");
        }
        for (a, b) in [("parser", "printer"), ("cat", "category"), ("login", "logout"), ("data", "date")] {
            assert!(!are_alike(a, b), "{a} {b}");
        }
    }
}
