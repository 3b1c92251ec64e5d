//! Instructions that only change the config: what they set, and what the history says of them.

use super::{actions, history, pairs, recipe_on, recipe_with, steps, strings};
use crate::image::layers::recipe::{Action, BaseConfig, Healthcheck};

#[test]
fn env_in_both_spellings() {
    let text = "FROM scratch
ENV A=1 B=\"two words\" C='$A' D=a\\ b
ENV OLD  value of  the \"old\" kind
ENV E=$A$B F=${NONE:-$A} A=2 G=$A
ENV H=$A";
    let env = |list: &[(&str, &str)]| Action::Env(pairs(list));
    assert_eq!(
        actions(text),
        [
            env(&[("A", "1"), ("B", "two words"), ("C", "$A"), ("D", "a b")]),
            env(&[("OLD", "value of  the old kind")]),
            // The whole line has the values from before it.
            env(&[("E", "1two words"), ("F", "1"), ("A", "2"), ("G", "1")]),
            env(&[("H", "2")]),
        ]
    );
    assert_eq!(history(text)[0], "ENV A=1 B=two words C=$A D=a b");
}

#[test]
fn the_base_images_variables_are_seen() {
    let base = BaseConfig {
        env: strings(&["PATH=/opt/bin:/bin", "EMPTY=", "X=a=b"]),
        working_dir: "/srv".to_owned(),
        shell: strings(&["/bin/bash", "-c"]),
    };
    let text = "FROM debian\nENV PATH=/app:$PATH X=$X.\nWORKDIR app\nCOPY a b/\nCMD run";
    let mut recipe = recipe_on(text, "linux/amd64", &[], base).unwrap();
    let steps = recipe.stages.pop().unwrap().steps;
    let texts: Vec<&str> = steps.iter().map(|step| step.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "ENV PATH=/app:/opt/bin:/bin X=a=b.",
            "WORKDIR /srv/app",
            "COPY a b/",
            "CMD [\"/bin/bash\" \"-c\" \"run\"]",
        ]
    );
    let Action::Copy(copy) = &steps[2].action else {
        panic!("{steps:?}")
    };
    assert_eq!(copy.destination, "/srv/app/b/");
}

#[test]
fn path_has_a_default() {
    assert_eq!(
        history("FROM scratch\nENV PATH=/app:$PATH"),
        ["ENV PATH=/app:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    );
}

#[test]
fn labels() {
    let text = "FROM scratch
ARG V=1.2
LABEL a=b \"two words\"=\"x y\" v=${V} multi=\"one \\
line\"
LABEL old the value";
    assert_eq!(
        actions(text),
        [
            Action::Label(pairs(&[
                ("a", "b"),
                ("two words", "x y"),
                ("v", "1.2"),
                ("multi", "one line")
            ])),
            Action::Label(pairs(&[("old", "the value")])),
        ]
    );
}

#[test]
fn commands_in_both_forms() {
    let text = "FROM scratch
CMD echo \"hi\"   $HOME \\
    # a comment in between

    && true
CMD [\"a\", \"b \\\"c\\\"\", \"\\u00e9\\t\"]
CMD [ not json
CMD []
ENTRYPOINT []
ENTRYPOINT exec  /run
SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]
ENTRYPOINT run
CMD";
    let words = |words: &[&str]| strings(words);
    assert_eq!(
        actions(text),
        [
            Action::Cmd(words(&["/bin/sh", "-c", "echo \"hi\"   $HOME     && true"])),
            Action::Cmd(words(&["a", "b \"c\"", "é\t"])),
            Action::Cmd(words(&["/bin/sh", "-c", "[ not json"])),
            Action::Cmd(words(&[])),
            Action::Entrypoint(words(&[])),
            Action::Entrypoint(words(&["/bin/sh", "-c", "exec  /run"])),
            Action::Shell(words(&["/bin/bash", "-o", "pipefail", "-c"])),
            Action::Entrypoint(words(&["/bin/bash", "-o", "pipefail", "-c", "run"])),
            Action::Cmd(words(&["/bin/bash", "-o", "pipefail", "-c", ""])),
        ]
    );
    assert_eq!(
        history(text)[1..3],
        [
            "CMD [\"a\" \"b \\\"c\\\"\" \"é\\t\"]",
            "CMD [\"/bin/sh\" \"-c\" \"[ not json\"]"
        ]
    );
}

#[test]
fn healthchecks() {
    let second = 1_000_000_000;
    for (text, wanted, said) in [
        (
            "HEALTHCHECK --interval=1m30s --timeout=5s --start-period=1.5h --start-interval=500ms --retries=3 \
             CMD [\"/check\", \"a\"]",
            Healthcheck {
                test: strings(&["CMD", "/check", "a"]),
                interval: 90 * second,
                timeout: 5 * second,
                start_period: 5400 * second,
                start_interval: second / 2,
                retries: 3,
            },
            "{Test:[CMD /check a] Interval:1m30s Timeout:5s StartPeriod:1h30m0s StartInterval:500ms Retries:3}",
        ),
        (
            "healthcheck cmd curl  -f $URL || exit 1",
            Healthcheck {
                test: strings(&["CMD-SHELL", "curl  -f $URL || exit 1"]),
                ..Healthcheck::default()
            },
            "{Test:[CMD-SHELL curl  -f $URL || exit 1] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s \
             Retries:0}",
        ),
        (
            "HEALTHCHECK NONE",
            Healthcheck {
                test: strings(&["NONE"]),
                ..Healthcheck::default()
            },
            "{Test:[NONE] Interval:0s Timeout:0s StartPeriod:0s StartInterval:0s Retries:0}",
        ),
        (
            "HEALTHCHECK --interval=0 --timeout=1h1ms --retries=0 CMD true",
            Healthcheck {
                test: strings(&["CMD-SHELL", "true"]),
                timeout: 3600 * second + 1_000_000,
                ..Healthcheck::default()
            },
            "{Test:[CMD-SHELL true] Interval:0s Timeout:1h0m0.001s StartPeriod:0s StartInterval:0s Retries:0}",
        ),
    ] {
        let steps = steps(&format!("FROM scratch\n{text}"));
        assert_eq!(steps[0].action, Action::Healthcheck(wanted));
        assert_eq!(steps[0].text, format!("HEALTHCHECK {said}"));
    }
}

#[test]
fn ports() {
    let text = "FROM scratch
ARG MORE=\"7000 7001/udp\"
EXPOSE 90 80/udp 8000-8002 443/TCP 53/sctp
EXPOSE $MORE 1:2
EXPOSE 127.0.0.1:80:81 [::1]:1-2:3-4/udp :5";
    assert_eq!(
        history(text),
        [
            "EXPOSE [443/tcp 53/sctp 80/udp 8000/tcp 8001/tcp 8002/tcp 90/tcp]",
            "EXPOSE [7000/tcp 7001/udp 2/tcp]",
            "EXPOSE [81/tcp 5/tcp 3/udp 4/udp]",
        ]
    );
    let exposed = Action::Expose(strings(&["7000/tcp", "7001/udp", "2/tcp"]));
    assert_eq!(actions(text)[1], exposed);
}

#[test]
fn volumes_users_signals_and_directories() {
    let text = "FROM scratch
ARG ID=1000
VOLUME /data $HOME/x
VOLUME [\"/a b\", \"/c\"]
USER $ID:$ID
STOPSIGNAL SIGQUIT
STOPSIGNAL ${SIGNAL:-9}
STOPSIGNAL rtmin+3
WORKDIR /a b/
WORKDIR ../c/./d
WORKDIR $NONE
WORKDIR /x/../y
WORKDIR ..
WORKDIR ..
MAINTAINER \"me\" <me@example.org>";
    assert_eq!(
        history(text),
        [
            "VOLUME [/data /x]",
            "VOLUME [/a b /c]",
            "USER 1000:1000",
            "STOPSIGNAL SIGQUIT",
            "STOPSIGNAL 9",
            "STOPSIGNAL rtmin+3",
            "WORKDIR /a b/",
            "WORKDIR /c/d",
            "WORKDIR /c/d",
            "WORKDIR /x/../y",
            "WORKDIR /",
            "WORKDIR /",
            "MAINTAINER \"me\" <me@example.org>",
        ]
    );
    assert_eq!(actions(text)[1], Action::Volume(strings(&["/a b", "/c"])));
}

#[test]
fn comments_continuations_and_directives() {
    for text in [
        "FROM scratch\nENV A=1 \\\n  B=2",
        "\u{feff}# a comment\r\nFROM scratch\r\nENV A=1 \\\r\n# in between\r\n\r\n   B=2\r\n",
        "# escape=`\nFROM scratch\nENV A=1 `\n  B=2",
        "#escape = `  \n# check=skip=all\n\n   from scratch\n\n\tenv A=1 `  \nB=2\n",
        "\n# escape=`\nFROM scratch\nENV A=1 B=2\\\n",
        "FROM \\\nscratch\nE\\\nNV A=1 B=2 \\",
    ] {
        let actions = actions(text);
        assert_eq!(
            actions,
            [Action::Env(pairs(&[("A", "1"), ("B", "2")]))],
            "{text}"
        );
    }
    // An escaped backslash continues nothing, and a comment directive after a comment is a comment.
    assert_eq!(
        history("# c\n# escape=`\nFROM scratch\nCMD a \\\\\nUSER b"),
        ["CMD [\"/bin/sh\" \"-c\" \"a \\\\\\\\\"]", "USER b"]
    );
    // The backtick escapes in words, too.
    assert_eq!(
        history("# escape=`\nFROM scratch\nENV A=C:\\Users\\ B=`$A"),
        ["ENV A=C:\\Users\\ B=$A"]
    );
}

#[test]
fn lines_are_those_of_the_keywords() {
    let text = "\n# c\nARG A\nFROM scratch\n\nENV A=1 \\\n B=2\n\nUSER x\n";
    let lines: Vec<usize> = steps(text).iter().map(|step| step.line).collect();
    assert_eq!(lines, [6, 9]);
}

#[test]
fn arguments_and_variables() {
    let said = |text: &str, build_args: &[(&str, &str)]| {
        let text = format!("{text}\nUSER [$A]");
        let recipe = recipe_with(&text, build_args).unwrap();
        let steps = &recipe.stages.last().unwrap().steps;
        steps.last().unwrap().text.clone()
    };
    let given = &[("A", "given")][..];
    for (text, build_args, wanted) in [
        // Not declared: not seen.
        ("FROM scratch", given, "USER []"),
        ("ARG A=1\nFROM scratch", given, "USER []"),
        // Declared in the stage.
        ("FROM scratch\nARG A", &[], "USER []"),
        ("FROM scratch\nARG A", given, "USER [given]"),
        ("FROM scratch\nARG A=1", &[], "USER [1]"),
        ("FROM scratch\nARG A=1", given, "USER [given]"),
        ("FROM scratch\nARG A=\"1 2\" B", &[], "USER [1 2]"),
        ("FROM scratch\nARG B=1\nARG A=$B$B", &[], "USER [11]"),
        ("FROM scratch\nARG B=1 A=$B", &[], "USER [1]"),
        // Global ones are seen where they are declared again.
        ("ARG A=1\nFROM scratch\nARG A", &[], "USER [1]"),
        ("ARG A=1\nFROM scratch\nARG A=2", &[], "USER [2]"),
        ("ARG A=1\nFROM scratch\nARG A", given, "USER [given]"),
        ("ARG B=1\nARG A=$B.\nFROM scratch\nARG A", &[], "USER [1.]"),
        ("ARG A\nFROM scratch\nARG A=2", &[], "USER [2]"),
        // ENV wins over an earlier ARG; of both, the later one counts.
        ("FROM scratch\nARG A=1\nENV A=2", given, "USER [2]"),
        ("FROM scratch\nARG A=1\nENV A=${A}x", given, "USER [givenx]"),
        ("FROM scratch\nENV A=2\nARG A=1", &[], "USER [1]"),
        ("FROM scratch\nENV A=2\nARG A", &[], "USER [2]"),
        // A stage hands them on, also its arguments.
        ("FROM scratch AS a\nENV A=1\nFROM a", &[], "USER [1]"),
        ("FROM scratch AS a\nARG A=1\nFROM a", &[], "USER [1]"),
        ("FROM scratch AS a\nARG A=1\nFROM scratch", &[], "USER []"),
        // Proxies, too, only where they are declared.
        (
            "FROM scratch\nARG A=$HTTP_PROXY",
            &[("HTTP_PROXY", "p")],
            "USER []",
        ),
        (
            "FROM scratch\nARG HTTP_PROXY\nARG A=$HTTP_PROXY",
            &[("HTTP_PROXY", "p")],
            "USER [p]",
        ),
    ] {
        assert_eq!(said(text, build_args), wanted, "{text}");
    }
}
