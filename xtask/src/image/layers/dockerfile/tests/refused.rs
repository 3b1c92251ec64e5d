//! Dockerfiles that are wrong, and what is said about them.

use std::collections::BTreeMap;

use super::recipe_with;
use crate::image::layers::Dockerfile;

#[test]
fn mistakes_are_told_with_their_line() {
    for (text, line, wanted) in [
        (
            "FROM a\nCOPYY a /",
            2,
            "unknown instruction `COPYY`; hint: `COPY`?",
        ),
        (
            "FROM a\nCMD a &&\n  b",
            3,
            "unknown instruction `b`; hint: a line that goes on in the next one ends in a backslash",
        ),
        (
            "ENV A=1\nFROM a",
            1,
            "`ENV` before the first `FROM`; hint: only `ARG` may stand there",
        ),
        (
            "FROM",
            1,
            "`FROM ` is not understood; hint: `FROM image` or `FROM image AS name`",
        ),
        (
            "FROM a b",
            1,
            "`FROM a b` is not understood; hint: `FROM image` or `FROM image AS name`",
        ),
        (
            "FROM a AS 1b",
            1,
            "`1b` cannot name a stage; hint: a letter, then letters, digits, `-`, `_` and `.`",
        ),
        (
            "FROM --platfrom=linux/amd64 a",
            1,
            "`FROM` has no flag `--platfrom`; hint: `--platform`",
        ),
        (
            "FROM --platform=$NONE a",
            1,
            "`--platform=$NONE`: `` is not a platform; hint: `os/architecture` or `os/architecture/variant`, such as \
             `linux/arm64`",
        ),
        (
            "\nARG BASE_IMAGE\nFROM ${BASE_IMAGE}",
            3,
            "`FROM ${BASE_IMAGE}` names no image: `BASE_IMAGE` has no value; hint: give it one with `ARG` \
             before the first `FROM`",
        ),
        (
            "ARG BASE_IMAGE=a\nFROM $BASE_IMGAE",
            2,
            "`FROM $BASE_IMGAE` names no image: `BASE_IMGAE` has no value; hint: did you mean `BASE_IMAGE`?",
        ),
        (
            "FROM a\nCOPY --chmdo=755 a /",
            2,
            "`COPY` has no flag `--chmdo`; hint: `--chmod`?",
        ),
        (
            "FROM a\nADD --parent a /",
            2,
            "`ADD` has no flag `--parent`; hint: `--parents`?",
        ),
        (
            "FROM a:b:c",
            1,
            "`FROM a:b:c`: `a:b` is not a repository path; hint: lower-case letters and digits, separated by `/`, \
             `.`, `_`, `__` or `-`",
        ),
        (
            "FROM a$B'",
            1,
            "`a$B'` cannot be expanded: a `'` without its second",
        ),
        (
            "ARG A=${B\nFROM a",
            1,
            "`${B` cannot be expanded: `${` without its `}`",
        ),
        (
            "FROM a\nARG A=${B",
            2,
            "`${B` cannot be expanded: `${` without its `}`",
        ),
        ("FROM a\nARG", 2, "`ARG` without an argument"),
        ("FROM a\nARG =1", 2, "`=1` has no name before its `=`"),
        (
            "FROM a\nENV",
            2,
            "`ENV` without arguments; hint: `ENV name=value`",
        ),
        (
            "FROM a\nENV A",
            2,
            "`ENV A` has no value; hint: `ENV A=value`",
        ),
        (
            "FROM a\nENV A=b c",
            2,
            "`c` has no `=`; hint: a value with spaces is written in quotes",
        ),
        ("FROM a\nLABEL =x", 2, "`=x` has no name before its `=`"),
        ("FROM a\nLABEL $X=x", 2, "`$X=x` has no name"),
        (
            "FROM a\nCOPY a",
            2,
            "`COPY` needs a source and a destination",
        ),
        (
            "FROM a\nCOPY [\"a\"]",
            2,
            "`COPY` needs a source and a destination",
        ),
        ("FROM a\nADD", 2, "`ADD` needs a source and a destination"),
        (
            "FROM a\nCOPY http://x/y /",
            2,
            "`COPY http://x/y`: `COPY` does not fetch; hint: `ADD` does",
        ),
        (
            "FROM a\nCOPY --chmod=999 a /",
            2,
            "`--chmod=999` is not a mode; hint: octal digits, `0755` or `644`",
        ),
        (
            "FROM a\nCOPY --chmod=17777 a /",
            2,
            "`--chmod=17777` is not a mode; hint: octal digits, `0755` or `644`",
        ),
        ("FROM a\nCOPY --chmod a /", 2, "`--chmod` without a value"),
        (
            "FROM a\nCOPY --chmod=1 --chmod=1 a /",
            2,
            "`--chmod` is there twice",
        ),
        (
            "FROM a\nCOPY --link=maybe a /",
            2,
            "`--link=maybe` is neither `true` nor `false`",
        ),
        (
            "FROM a\nCOPY --chown=5: a /",
            2,
            "`--chown=5:` names no group after the colon",
        ),
        (
            "FROM a\nCOPY --from=$A a /",
            2,
            "`--from=$A` is not expanded; hint: name the image by `FROM … AS name`, and copy from `name`",
        ),
        (
            "FROM a AS b\nCOPY --from=b a /",
            2,
            "`--from=b` is not an earlier stage",
        ),
        (
            "FROM a\nCOPY --from=0 a /",
            2,
            "`--from=0` is not an earlier stage",
        ),
        (
            "FROM a\nCOPY --from=7 a /",
            2,
            "`--from=7` is not an earlier stage",
        ),
        (
            "FROM a AS b\nCOPY --from=c a /\nFROM b AS c",
            2,
            "`--from=c` is not an earlier stage",
        ),
        (
            "FROM a\nCOPY --from=Up/Per a /",
            2,
            "`--from=Up/Per`: `Per` is not a repository path; hint: lower-case letters and digits, separated by \
             `/`, `.`, `_`, `__` or `-`",
        ),
        (
            "FROM a\nCOPY <<EOF /x\nnever\n EOF",
            2,
            "the here-document `<<EOF` has no line `EOF` at its end",
        ),
        (
            "FROM a\nCMD [\"a\", 1]",
            2,
            "`1` is not a string; hint: write it in quotes",
        ),
        (
            "FROM a\nSHELL /bin/sh",
            2,
            "`SHELL` takes a JSON list; hint: `SHELL [\"/bin/sh\", \"-c\"]`",
        ),
        (
            "FROM a\nSHELL []",
            2,
            "`SHELL` takes a JSON list; hint: `SHELL [\"/bin/sh\", \"-c\"]`",
        ),
        (
            "FROM a\nHEALTHCHECK curl x",
            2,
            "`HEALTHCHECK curl` is not known; hint: `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`",
        ),
        (
            "FROM a\nHEALTHCHECK CMD",
            2,
            "`HEALTHCHECK CMD` without a command; hint: `HEALTHCHECK CMD command` or `HEALTHCHECK NONE`",
        ),
        (
            "FROM a\nHEALTHCHECK NONE x",
            2,
            "`HEALTHCHECK NONE` takes no arguments",
        ),
        (
            "FROM a\nHEALTHCHECK --interval=30 CMD x",
            2,
            "`--interval`: `30` is not a duration; hint: `30s`, `1m30s`, `500ms`",
        ),
        (
            "FROM a\nHEALTHCHECK --timeout=-1s CMD x",
            2,
            "`--timeout`: `-1s` is not a duration; hint: `30s`, `1m30s`, `500ms`",
        ),
        (
            "FROM a\nHEALTHCHECK --timeout=1us CMD x",
            2,
            "`--timeout`: `1us` is shorter than a millisecond",
        ),
        (
            "FROM a\nHEALTHCHECK --timeout=99999999999h CMD x",
            2,
            "`--timeout`: `99999999999h` is not a duration; hint: `30s`, `1m30s`, `500ms`",
        ),
        (
            "FROM a\nHEALTHCHECK --retries=-1 CMD x",
            2,
            "`--retries=-1` is not a number of retries",
        ),
        ("FROM a\nEXPOSE", 2, "`EXPOSE` without an argument"),
        (
            "FROM a\nEXPOSE 80/http",
            2,
            "`80/http`: a port is `/tcp`, `/udp` or `/sctp`",
        ),
        (
            "FROM a\nEXPOSE 65536",
            2,
            "`65536` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535",
        ),
        (
            "FROM a\nEXPOSE 9-8",
            2,
            "`9-8` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535",
        ),
        ("FROM a\nVOLUME []", 2, "`VOLUME` without a directory"),
        (
            "FROM a\nEXPOSE x:80",
            2,
            "`x:80` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535",
        ),
        (
            "FROM a\nEXPOSE here:1:80",
            2,
            "`here:1:80` is not a port; hint: `80`, `53/udp` or `8000-8010`, at most 65535",
        ),
        ("FROM a\nVOLUME [\"\"]", 2, "`VOLUME ` names no directory"),
        (
            "FROM a\nVOLUME $NONE",
            2,
            "`VOLUME $NONE` names no directory",
        ),
        (
            "FROM a\nSTOPSIGNAL STOPP",
            2,
            "`STOPP` is not a signal; hint: `SIGTERM`, `SIGQUIT` or a number",
        ),
        ("FROM a\nUSER", 2, "`USER` without an argument"),
        ("FROM a\nWORKDIR", 2, "`WORKDIR` without an argument"),
        (
            "FROM a\nUSER ${A:?say who}",
            2,
            "`${A:?say who}` cannot be expanded: `A`: say who",
        ),
        (
            "# escape=x\nFROM a",
            1,
            "`# escape=x` is neither a backslash nor a backtick",
        ),
        (
            "# escape=`\n# escape=`\nFROM a",
            2,
            "`# escape=` is there twice",
        ),
    ] {
        let message = format!("`docker/Dockerfile`, line {line}: {wanted}");
        assert_eq!(recipe_with(text, &[]).unwrap_err(), message, "{text}");
    }
}

#[test]
fn a_dockerfile_without_a_stage() {
    for text in ["", "\n# nothing\n", "ARG A=1"] {
        assert_eq!(
            recipe_with(text, &[]).unwrap_err(),
            "`docker/Dockerfile`: it has no `FROM`; hint: `FROM scratch` if it is based on nothing"
        );
    }
}

#[test]
fn what_is_wrong_whatever_the_base_is_is_known_without_it() {
    let without = |text: &str| {
        let file = Dockerfile::parse("Dockerfile", text).unwrap();
        let recipe = file.recipe_without_bases(&"linux/amd64".parse().unwrap(), &BTreeMap::new());
        recipe
            .map(|recipe| recipe.is_some())
            .map_err(|it| it.to_string())
    };
    let wrong = without("FROM a\nEXPOSE abc\nENV A=$B").unwrap_err();
    assert!(
        wrong.starts_with("`Dockerfile`, line 2: `abc` is not a port"),
        "{wrong}"
    );
    let wrong = without("FROM a\nCOPY --from=9 a /").unwrap_err();
    assert!(
        wrong.ends_with("`--from=9` is not an earlier stage"),
        "{wrong}"
    );
    assert_eq!(without("FROM a\nENV A=b\nEXPOSE 80"), Ok(true));
    // The base may have a port.
    assert_eq!(without("FROM a\nEXPOSE $PORT/tcp"), Ok(false));
}

#[test]
fn a_word_that_may_have_been_meant_for_a_stage_is_found() {
    let text =
        "FROM a AS one\nFROM b\nCOPY --from=one a /\nCOPY --from=tow a /\nCOPY --from=x.io/y a /";
    let file = Dockerfile::parse("Dockerfile", text).unwrap();
    let found = |image: &str| file.copies_by_name(&image.parse().unwrap());
    assert_eq!(found("tow"), Some((4, "tow")));
    assert_eq!(found("x.io/y"), None);
    assert_eq!(found("one"), None);
}

#[test]
fn a_list_that_is_no_json_is_told() {
    let warnings = |text: &str| Dockerfile::parse("Dockerfile", text).unwrap().warnings();
    let told = warnings("FROM a\nENTRYPOINT ['/run']\nCMD [\"a\"");
    assert_eq!(told.len(), 2);
    assert!(
        told[0].starts_with("`Dockerfile`, line 2: `ENTRYPOINT [` is no JSON list"),
        "{told:?}"
    );
    assert_eq!(
        warnings("FROM a\nENTRYPOINT [\"/run\"]\nCMD run [x]"),
        Vec::<String>::new()
    );
}
