//! `COPY` and `ADD` of local files.

use super::{actions, history, recipe_with, strings};
use crate::image::layers::recipe::{Action, Copy, Origin, Owner};

/// The copy of the only instruction.
fn copy(instruction: &str) -> Copy {
    let mut actions = actions(&format!(
        "FROM scratch\nWORKDIR /w\nARG D=dir\n{instruction}"
    ));
    match actions.pop() {
        Some(Action::Copy(copy)) => copy,
        other => panic!("{instruction}: {other:?}"),
    }
}

#[test]
fn sources_are_below_the_root_and_destinations_absolute() {
    for (instruction, sources, destination) in [
        ("COPY a /b", &["a"][..], "/b"),
        ("COPY a b c /d/", &["a", "b", "c"], "/d/"),
        ("COPY lib-$D/ /app/", &["lib-dir/"], "/app/"),
        ("COPY . .", &["."], "/w/"),
        ("COPY ./ ./", &["."], "/w/"),
        ("COPY / /", &["."], "/"),
        ("COPY /a/./b//c x", &["a/b/c"], "/w/x"),
        ("COPY ../../etc/passwd x/", &["etc/passwd"], "/w/x/"),
        ("COPY a ..", &["a"], "/"),
        ("COPY a ../x/.", &["a"], "/x/"),
        ("COPY a /x/../y", &["a"], "/y"),
        ("COPY *.sh [ab]? /", &["*.sh", "[ab]?"], "/"),
        (
            "COPY [\"a b\", \"$D\", \"/c d/\"]",
            &["a b", "dir"],
            "/c d/",
        ),
        ("COPY [a] /", &["[a]"], "/"),
        ("COPY a\\ b /", &["a\\", "b"], "/"),
        ("COPY \"a\" 'b' /", &["a", "b"], "/"),
        ("COPY a $NONE", &["a"], "/w/"),
        ("COPY a \\\n  b \\\n # comment\n /", &["a", "b"], "/"),
        ("COPY --link a /", &["a"], "/"),
        ("COPY --link=false -- --a /", &["--a"], "/"),
        ("ADD a b/ /", &["a", "b/"], "/"),
        ("ADD *.sh /", &["*.sh"], "/"),
        ("ADD lib-${D}/x.jar /", &["lib-dir/x.jar"], "/"),
        ("ADD https /", &["https"], "/"),
        ("COPY a.tar.gz /", &["a.tar.gz"], "/"),
        ("COPY 中文 /名", &["中文"], "/名"),
    ] {
        let copy = copy(instruction);
        // Docker, too, divides at a space that is escaped, and drops the backslash as it expands.
        let sources = sources.iter().map(|source| source.trim_end_matches('\\'));
        let sources: Vec<&str> = sources.collect();
        assert_eq!(copy.sources, sources, "{instruction}");
        assert_eq!(copy.destination, destination, "{instruction}");
        assert_eq!(copy.from, Origin::Context, "{instruction}");
    }
}

#[test]
fn owners_and_modes() {
    let owner = |user: &str, group: Option<&str>| {
        Some(Owner {
            user: user.to_owned(),
            group: group.map(str::to_owned),
        })
    };
    for (flags, wanted_owner, wanted_mode) in [
        ("", None, None),
        ("--chown=1000:1001", owner("1000", Some("1001")), None),
        ("--chown=app", owner("app", None), None),
        ("--chown=\"app:staff\"", owner("app", Some("staff")), None),
        ("--chown=$D:${D}s", owner("dir", Some("dirs")), None),
        ("--chown=$NONE", None, None),
        ("--chown=:app", owner("", Some("app")), None),
        ("--chmod=755", None, Some(0o755)),
        ("--chmod=0755", None, Some(0o755)),
        ("--chmod=4755", None, Some(0o4755)),
        ("--chmod=07777", None, Some(0o7777)),
        ("--chmod=0", None, Some(0)),
        ("--chmod=${MODE:-640}", None, Some(0o640)),
        (
            "--chmod=644 --chown=1 --link",
            owner("1", None),
            Some(0o644),
        ),
    ] {
        let copy = copy(&format!("COPY {flags} a /"));
        assert_eq!(copy.owner, wanted_owner, "{flags}");
        assert_eq!(copy.mode, wanted_mode, "{flags}");
    }
}

#[test]
fn the_history_has_the_paths_as_they_were_written() {
    let text = "FROM scratch
ARG D=dir
COPY --chmod=0755 --link --chown=1:2 ./$D/ *.sh  x/
ADD [\"a b\", \"/c d\"]";
    assert_eq!(
        history(text),
        [
            "COPY --chown=1:2 --chmod=0755 ./dir/ *.sh x/",
            "ADD a b /c d"
        ]
    );
}

#[test]
fn copies_from_elsewhere() {
    let text = "FROM scratch AS One
COPY a /a
FROM scratch
COPY --from=0 /a /b
FROM scratch
COPY --from=one a /
COPY --from=ONE a /
COPY --from=1 /b /
COPY --from=ghcr.io/a/b:1 /x /
COPY --from=alpine /x /";
    let recipe = recipe_with(text, &[]).unwrap();
    let origins: Vec<String> = recipe.stages[2]
        .steps
        .iter()
        .map(|step| match &step.action {
            Action::Copy(Copy { from, .. }) => match from {
                Origin::Image {
                    reference,
                    platform,
                } => format!("{reference} {platform}"),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(
        origins,
        strings(&[
            "Stage(0)",
            "Stage(0)",
            "Stage(1)",
            "ghcr.io/a/b:1 linux/amd64",
            "docker.io/library/alpine linux/amd64",
        ])
    );
}

#[test]
fn a_source_with_a_variable_without_a_value_names_it() {
    let absent = |instruction: &str| copy(instruction).absent("lib-");
    assert_eq!(
        absent("COPY lib-${TARGETARCH}/ $D"),
        "the build context has no `lib-`; hint: `TARGETARCH` has no value there; `ARG TARGETARCH` in the same stage \
         declares it"
    );
    let given = absent("COPY lib-$D $NONE");
    assert!(
        given.ends_with("does `.dockerignore` exclude it?"),
        "{given}"
    );
}
