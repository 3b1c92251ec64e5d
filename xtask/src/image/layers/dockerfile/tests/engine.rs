//! Which Dockerfiles need an engine, and why.

use super::super::Dockerfile;
use super::{FILE, recipe_with};

fn reason(text: &str) -> Option<String> {
    let file = Dockerfile::parse(FILE, text).expect(text);
    file.needs_engine().map(|reason| reason.to_string())
}

#[test]
fn what_only_an_engine_does() {
    for (text, wanted) in [
        ("FROM a\nRUN make", "line 2: `RUN` runs a program"),
        (
            "FROM a\nUSER x\n\nRun [\"make\"]",
            "line 4: `RUN` runs a program",
        ),
        (
            "FROM a\nRUN --mount=type=cache,target=/x make",
            "line 2: `RUN` runs a program",
        ),
        (
            "FROM a\nRUN cat <<EOF > /x && \\\n  true\nFROM nothing\nUSER\nEOF\nUSER y",
            "line 2: `RUN` runs a program",
        ),
        (
            "FROM a\nONBUILD COPY a /",
            "line 2: `ONBUILD` is for the image that is built on this one",
        ),
        (
            "FROM a\nCOPY <<EOF /x\nUSER\nEOF\nUSER y",
            "line 2: `COPY <<` writes a here-document",
        ),
        (
            "FROM a\nCOPY b <<-\"E F\" <<'G' /x/\n\tone\n\t\tE F\ntwo\nG\nUSER y",
            "line 2: `COPY <<` writes a here-document",
        ),
        (
            "FROM a\nADD <<EOF /x\nEOF",
            "line 2: `ADD <<` writes a here-document",
        ),
        (
            "FROM a\nADD https://example.org/x /",
            "line 2: `ADD https://example.org/x` fetches it",
        ),
        (
            "FROM a\nADD b git@github.com:a/b.git /",
            "line 2: `ADD git@github.com:a/b.git` fetches it",
        ),
        (
            "FROM a\nADD rootfs.tar.gz /",
            "line 2: `ADD rootfs.tar.gz` unpacks an archive",
        ),
        (
            "FROM a\nADD [\"a\", \"X.TGZ\", \"/\"]",
            "line 2: `ADD X.TGZ` unpacks an archive",
        ),
        (
            "FROM a\nADD * /",
            "line 2: `ADD *` may be an archive, which is unpacked; hint: `COPY` if it is none",
        ),
        (
            "FROM a\nADD app-$V /",
            "line 2: `ADD app-$V` may be an archive, which is unpacked; hint: `COPY` if it is none",
        ),
        (
            "FROM a\nADD app-${V}.gz /",
            "line 2: `ADD app-${V}.gz` may be an archive, which is unpacked; hint: `COPY` if it is none",
        ),
        (
            "FROM a\nADD $URL /",
            "line 2: `ADD $URL` may be an address or an archive; hint: `COPY` if it is neither",
        ),
        (
            "FROM a\nADD --checksum=sha256:0 x /",
            "line 2: `ADD --checksum` is not known here",
        ),
        (
            "FROM a\nCOPY --parents a/b /",
            "line 2: `COPY --parents` is not known here",
        ),
        (
            "FROM a\nCOPY --exclude=*.md a /",
            "line 2: `COPY --exclude` is not known here",
        ),
        (
            "FROM a\nCOPY --chmod=u+x,go=rX a /",
            "line 2: `--chmod=u+x,go=rX` changes modes that the files have",
        ),
        (
            "FROM a\nWORKDIR --new /a",
            "line 2: `WORKDIR --new` is not known here",
        ),
        (
            "# syntax=docker/dockerfile:1\nFROM a\nNEW thing",
            "line 1: `# syntax=` has another program read the Dockerfile; hint: delete the line if nothing needs it",
        ),
        (
            "# escape=`\n#Syntax = x\nFROM a",
            "line 2: `# syntax=` has another program read the Dockerfile; hint: delete the line if nothing needs it",
        ),
        // In the stages that the last one needs: by name, by number, as base, and where a variable may mean it.
        ("FROM a AS b\nRUN x\nFROM b", "line 2: `RUN` runs a program"),
        (
            "FROM a AS b\nRUN x\nFROM c\nCOPY --from=B x /",
            "line 2: `RUN` runs a program",
        ),
        (
            "FROM a\nRUN x\nFROM c AS d\nCOPY --from=0 x /\nFROM d",
            "line 2: `RUN` runs a program",
        ),
        (
            "ARG B\nFROM a AS b\nRUN x\nFROM $B",
            "line 3: `RUN` runs a program",
        ),
    ] {
        assert_eq!(reason(text).as_deref(), Some(wanted), "{text}");
    }
}

#[test]
fn what_needs_none() {
    for text in [
        "FROM scratch",
        "# a comment\n# syntax=docker/dockerfile:1\nFROM a",
        "FROM a AS b\nRUN x\nFROM c",
        "FROM a AS b\nRUN x\nFROM c AS d\nCOPY --from=b x /\nFROM e",
        "FROM a\nRUN x\nFROM $B",
        "FROM a\nCOPY https.txt a.tar.gz /",
        "FROM a\nADD a.txt b/ dir-$X/ *.dll /",
        "FROM a\nCMD cat <<EOF",
        "FROM a\nCOPY a \"<<b\" /",
        "FROM a\nENV A=<<EOF",
        "FROM a\nCOPY --link --chown=a:b --chmod=644 a /",
    ] {
        assert_eq!(reason(text), None, "{text}");
    }
}

#[test]
fn with_such_an_instruction_there_is_no_recipe() {
    for (text, wanted) in [
        (
            "FROM scratch\nRUN make",
            "`docker/Dockerfile`, line 2: `RUN` runs a program: only an engine does that",
        ),
        (
            "# syntax=docker/dockerfile:1\nFROM scratch",
            "`docker/Dockerfile`, line 1: `# syntax=` has another program read the Dockerfile; hint: delete the \
             line if nothing needs it",
        ),
        (
            "FROM scratch\nARG S=s\nADD http$S://x/y.txt /",
            "`docker/Dockerfile`, line 3: `ADD http$S://x/y.txt` fetches it: only an engine does that",
        ),
    ] {
        assert_eq!(recipe_with(text, &[]).unwrap_err(), wanted, "{text}");
    }
}
