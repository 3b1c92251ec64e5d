//! Words, as BuildKit's shell lexer expands them. An engine 28 gave the same for 3,000 words put together at random.

use super::super::budget::Budget;
use super::super::variables::{Variables, expand, expand_words};

const VARIABLES: [(&str, &str); 10] = [
    ("HOME", "/root"),
    ("SHELL", "bash"),
    ("EMPTY", ""),
    ("WIDE", "안녕"),
    ("FILE", "/srv/app.tar.gz"),
    ("VERSION", "10.0.1-rc.2"),
    ("TWO", "a  b"),
    ("STARS", "*?*"),
    ("Q", "it's"),
    ("_x1", "under"),
];

fn get(name: &str) -> Option<&'static str> {
    let mut found = VARIABLES.iter().filter(|(known, _)| *known == name);
    found.next().map(|(_, value)| *value)
}

fn expanded(word: &str, escape: char) -> Result<String, String> {
    expand(word, &Variables { escape, get: &get }, &mut Budget::new())
}

#[test]
fn words_are_expanded() {
    for (word, wanted) in [
        ("", ""),
        ("plain", "plain"),
        // Quotes.
        ("a'b c'd", "ab cd"),
        ("\"a b\"", "a b"),
        ("'$HOME'", "$HOME"),
        ("\"$HOME\"", "/root"),
        ("\"a'$HOME'b\"", "a'/root'b"),
        ("'a\"b\"'", "a\"b\""),
        ("''", ""),
        ("$Q", "it's"),
        // Escapes.
        ("a\\'b", "a'b"),
        ("a\\tb", "atb"),
        ("\"a\\tb\"", "a\\tb"),
        ("'a\\tb'", "a\\tb"),
        ("\"a\\\\b\"", "a\\b"),
        ("\"a\\\"b\"", "a\"b"),
        ("a\\", "a"),
        ("a\\\\", "a\\"),
        ("\\$HOME", "$HOME"),
        ("\\\\$HOME", "\\/root"),
        ("\"\\$HOME\"", "$HOME"),
        ("\\${HOME}", "${HOME}"),
        // Names.
        ("$HOME", "/root"),
        ("${HOME}", "/root"),
        ("x$HOME/y", "x/root/y"),
        ("$HOMER", ""),
        ("$home", ""),
        ("$_x1-", "under-"),
        ("$UNSET.", "."),
        ("$", "$"),
        ("$.", "$."),
        ("a$ b", "a$ b"),
        ("$1x", "x"),
        ("$12x", "x"),
        ("$@x", "x"),
        ("$$x", "x"),
        ("${1:-one}", "one"),
        ("${@:+x}", ""),
        ("$WIDE한", ""),
        ("한${WIDE}국", "한안녕국"),
        // Defaults.
        ("${UNSET:-d}", "d"),
        ("${UNSET-d}", "d"),
        ("${EMPTY:-d}", "d"),
        ("${EMPTY-d}", ""),
        ("${HOME:-d}", "/root"),
        ("${HOME-d}", "/root"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a b}", "a b"),
        ("${UNSET:-$HOME}", "/root"),
        ("${UNSET:-${EMPTY:-${SHELL}}}", "bash"),
        ("${UNSET:-\"a}b\"}", "a}b"),
        ("${UNSET:-a\\}b}", "a}b"),
        ("${UNSET:-\\$HOME:}", "$HOME:"),
        ("${UNSET:-{x}", "{x"),
        ("${UNSET}}", "}"),
        // Alternatives.
        ("${HOME:+yes}", "yes"),
        ("${HOME+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${UNSET:+yes}", ""),
        ("${UNSET+yes}", ""),
        ("${HOME:+${SHELL}:}x", "bash:x"),
        // Demands.
        ("${HOME:?}", "/root"),
        ("${HOME?must}", "/root"),
        ("${EMPTY?must}", ""),
        // The beginning and the end.
        ("${FILE#*/}", "srv/app.tar.gz"),
        ("${FILE##*/}", "app.tar.gz"),
        ("${FILE%.*}", "/srv/app.tar"),
        ("${FILE%%.*}", "/srv/app"),
        ("${FILE#nothing}", "/srv/app.tar.gz"),
        ("${FILE#}", "/srv/app.tar.gz"),
        ("${FILE##}", "/srv/app.tar.gz"),
        ("${FILE%%*}", ""),
        ("${FILE#*}", "/srv/app.tar.gz"),
        ("${VERSION%%-*}", "10.0.1"),
        ("${VERSION%.?}", "10.0.1-rc"),
        ("${VERSION#??.}", "0.1-rc.2"),
        ("${VERSION%$UNSET}", "10.0.1-rc.2"),
        ("${VERSION#${UNSET:-10}}", ".0.1-rc.2"),
        ("${STARS#\\*}", "?*"),
        ("${STARS%\\?\\*}", "*"),
        ("${WIDE%녕}", "안"),
        ("${WIDE#?}", "녕"),
        ("${UNSET#x}", ""),
        // Replacements.
        ("${FILE/a/o}", "/srv/opp.tar.gz"),
        ("${FILE//a/o}", "/srv/opp.tor.gz"),
        ("${FILE//a}x/}", "/srv/app.tar.gz"),
        ("${FILE/.*/}", "/srv/app"),
        ("${FILE//\\//-}", "-srv-app.tar.gz"),
        ("${FILE/x/y}", "/srv/app.tar.gz"),
        ("${VERSION//./$SHELL}", "10bash0bash1-rcbash2"),
        ("${VERSION/?/}", "0.0.1-rc.2"),
        ("${EMPTY/*/x}", "x"),
        ("${SHELL//$EMPTY/-}", "-b-a-s-h-"),
        ("${SHELL/$EMPTY/-}", "-bash"),
    ] {
        assert_eq!(expanded(word, '\\').as_deref(), Ok(wanted), "{word}");
    }
}

#[test]
fn a_backtick_may_be_the_escape() {
    for (word, wanted) in [
        ("`$HOME", "$HOME"),
        ("C:\\$SHELL", "C:\\bash"),
        ("\"a`\"b\"", "a\"b"),
        ("a``b", "a`b"),
        ("${UNSET:-a`}b}", "a}b"),
    ] {
        assert_eq!(expanded(word, '`').as_deref(), Ok(wanted), "{word}");
    }
}

#[test]
fn what_is_no_word_is_refused() {
    for (word, why) in [
        ("a'b", "a `'` without its second"),
        ("'a\\'b'", "a `'` without its second"),
        ("a\"b", "a `\"` without its second"),
        ("\"a\\\"", "a `\"` without its second"),
        ("${", "`${` without its `}`"),
        ("${HOME", "`${` without its `}`"),
        ("${HOME:", "`${` without its `}`"),
        ("${HOME:-x", "`${` without its `}`"),
        ("${HOME:-${SHELL}", "`${` without its `}`"),
        ("${HOME/a", "`${` without its `/`"),
        ("${HOME/a/b", "`${` without its `}`"),
        ("${}", "`${` must be followed by a name"),
        ("${:-x}", "`${` must be followed by a name"),
        ("${{HOME}}", "`${` must be followed by a name"),
        ("${.}", "`${.` is none of Docker's substitutions"),
        ("${HOME=x}", "`${HOME=` is none of Docker's substitutions"),
        ("${HOME:=x}", "`${HOME:=` is none of Docker's substitutions"),
        ("${HOME^^}", "`${HOME^` is none of Docker's substitutions"),
        ("${HOME:x}", "`${HOME:x` is none of Docker's substitutions"),
        ("${HOME:#x}", "`${HOME:#` is none of Docker's substitutions"),
        ("${HOME:}", "`${HOME:}` is none of Docker's substitutions"),
        ("${UNSET?}", "`UNSET` has no value"),
        ("${UNSET:?give it}", "`UNSET`: give it"),
        ("${EMPTY:?}", "`EMPTY` has no value"),
        (
            "${HOME#\\r}",
            "the pattern `\\r` has a `\\` that escapes nothing",
        ),
    ] {
        let message = format!("`{word}` cannot be expanded: {why}");
        assert_eq!(expanded(word, '\\'), Err(message), "{word}");
    }
}

#[test]
fn values_divide_words_and_quotes_do_not() {
    for (text, wanted) in [
        ("80", &["80"][..]),
        ("80 81", &["80", "81"]),
        ("$TWO", &["a", "b"]),
        ("x${TWO}y", &["xa", "by"]),
        ("\"$TWO\"", &["a  b"]),
        ("x\" $TWO\" y", &["x a  b", "y"]),
        ("a\\ b", &["a b"]),
        ("$UNSET", &[]),
        ("  ", &[]),
        ("8${UNSET:-0}", &["80"]),
    ] {
        let variables = Variables {
            escape: '\\',
            get: &get,
        };
        let words = expand_words(text, &variables, &mut Budget::new());
        assert_eq!(words.unwrap(), wanted, "{text}");
    }
}
