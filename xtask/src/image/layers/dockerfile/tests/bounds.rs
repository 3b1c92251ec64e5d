//! No input takes a panic, or time and memory without end.

use super::super::Dockerfile;
use super::{FILE, recipe_with};

#[test]
fn values_do_not_grow_without_end() {
    let doubled = "ENV A=$A$A\n".repeat(100);
    let listed: String = (0..40_000)
        .map(|n| format!("ENV B{n}=$A$A$A$A\n"))
        .collect();
    let texts = [
        format!("FROM scratch\nENV A=xxxxxxxx\n{doubled}"),
        format!("FROM scratch\nENV A={}\n{listed}", "x".repeat(10_000)),
        format!("ARG A=x\n{}FROM scratch", "ARG A=$A$A\n".repeat(100)),
        format!(
            "FROM scratch\nENV A={}\nUSER {}",
            "x".repeat(60_000),
            "${B:+$A}".repeat(60_000)
        ),
        format!("FROM scratch\n{}", "EXPOSE 1-65535\n".repeat(1000)),
        format!("FROM scratch\nEXPOSE {}", "1-65535 ".repeat(1000)),
        format!(
            "FROM scratch\nSHELL [\"{}\"]\n{}",
            "x".repeat(100_000),
            "CMD a\n".repeat(50_000)
        ),
        format!("FROM scratch\n{}", "WORKDIR aaaaaaaa\n".repeat(50_000)),
        format!(
            "FROM scratch\nENV A={}\nUSER ${{A//{}y/}}",
            "x".repeat(100_000),
            "*x".repeat(10_000)
        ),
    ];
    for text in texts {
        let message = recipe_with(&text, &[]).unwrap_err();
        let end = "the values of this Dockerfile grow without end";
        assert!(
            message.ends_with(end),
            "{}",
            &message[..message.len().min(200)]
        );
    }
}

#[test]
fn names_of_any_length_are_told_apart() {
    let long = "A".repeat(400_000);
    let message = recipe_with(&format!("ARG {long}=x\nFROM ${{{long}B}}"), &[]).unwrap_err();
    assert!(
        message.starts_with("`docker/Dockerfile`, line 2: `FROM "),
        "{message}"
    );
    recipe_with(&long, &[]).unwrap_err();
}

#[test]
fn depth_and_size_have_limits() {
    let nested = |depth: usize| {
        let (open, close) = ("${A:-".repeat(depth), "}".repeat(depth));
        recipe_with(&format!("FROM scratch\nUSER {open}x{close}"), &[])
    };
    nested(100).unwrap();
    for depth in [101, 10_000, 100_000] {
        let message = nested(depth).unwrap_err();
        assert!(
            message.ends_with("more than 100 `${` in one another"),
            "{message}"
        );
    }
    let message = recipe_with(&"#".repeat(2 << 20), &[]).unwrap_err();
    assert!(message.ends_with("too many for a Dockerfile"), "{message}");
    let message = recipe_with(&"FROM scratch\n".repeat(1001), &[]).unwrap_err();
    assert!(message.ends_with("more than 1000 stages"), "{message}");
    // A JSON list of lists is no command, and no overflow.
    let brackets = "[".repeat(100_000);
    recipe_with(&format!("FROM scratch\nCMD {brackets}"), &[]).unwrap();
}

#[test]
fn a_thousand_stages_that_each_need_the_one_before() {
    let chain: String = (1..1000)
        .map(|n| format!("FROM s{} AS s{n}\nENV A{n}=$A0$NONE\n", n - 1))
        .collect();
    let recipe = recipe_with(&format!("FROM scratch AS s0\nENV A0=x\n{chain}"), &[]).unwrap();
    assert_eq!(recipe.stages.len(), 1000);
    assert_eq!(recipe.stages[999].steps[0].text, "ENV A999=x");
}

/// Dockerfiles of pieces in an order that a small generator chooses: none of them may panic.
#[test]
fn no_text_makes_it_panic() {
    const KEYWORDS: &str = "FROM ARG ENV COPY ADD RUN CMD SHELL LABEL EXPOSE VOLUME WORKDIR USER HEALTHCHECK \
                            ENTRYPOINT STOPSIGNAL ONBUILD MAINTAINER NONE # \u{e9}";
    const PIECES: &str = "scratch AS a b 0 --from= --chmod= --chown= --platform= --interval= --link -- = A A= $A ${A \
                          ${A:- ${A# ${A%% ${A// } { $ ' \" \\ ` << <<-E E [ ] , [\"a\"] / .. . * ? % # : @ \
                          \u{e9} \u{c548} \u{feff} \r escape=` 1-9 1h 7 \u{0} NONE CMD";
    let keywords: Vec<&str> = KEYWORDS.split(' ').collect();
    let pieces: Vec<&str> = PIECES
        .split(' ')
        .filter(|piece| !piece.is_empty())
        .collect();
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    let mut recipes = 0;
    for _ in 0..4_000 {
        let mut text = String::new();
        if next(4) > 0 {
            text.push_str("ARG A=x/y\nFROM scratch AS a\nARG A\n");
        }
        for _ in 0..next(5) {
            text.push_str(keywords[next(keywords.len())]);
            for _ in 0..next(6) {
                text.push_str([" ", " ", " ", "", "\t", "\\\n"][next(6)]);
                text.push_str(pieces[next(pieces.len())]);
            }
            text.push('\n');
        }
        if let Ok(file) = Dockerfile::parse(FILE, &text) {
            let _ = file.needs_engine();
        }
        recipes += usize::from(recipe_with(&text, &[("A", "v")]).is_ok());
    }
    assert!(recipes > 400, "{recipes} of 4000 were Dockerfiles");
}
