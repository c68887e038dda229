//! The rules of the repository that no compiler keeps: what the core may not know, what a text may not name, and that the
//! two READMEs say the same. Read from the files that git would commit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, iter};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn the_core_asks_no_clock_no_socket_no_disk_and_no_dice() {
    let forbidden = [
        "tokio",
        "UdpSocket",
        "TcpStream",
        "TcpListener",
        "Instant::now",
        "SystemTime",
        "Local::now",
        "Utc::now",
        "clock",
        "thread",
        "thread_local",
        "std::fs",
        "std::process",
        "static",
        "OnceLock",
        "LazyLock",
        "rand::rng",
        "rand::random",
        "from_os_rng",
        "OsRng",
    ];
    let core = sources("src/").filter(|path| {
        let core = ["src/sip/", "src/rtp/", "src/call/"].iter().any(|room| path.starts_with(room));
        core && path != Path::new("src/call/driver.rs") && !path.starts_with("src/call/driver")
    });
    // A lifetime is no state of the program.
    found(core.flat_map(code), |line| forbidden.iter().any(|name| names(&line.replace("'static", ""), name)));
}

#[test]
fn rsip_stays_in_the_room_of_the_messages() {
    let others = sources("src/").filter(|path| !path.starts_with("src/sip/message"));
    found(others.flat_map(code), |line| names(line, "rsip"));
}

#[test]
fn errors_have_types_but_for_the_outermost_layer() {
    let library = sources("src/").filter(|path| {
        !path.starts_with("src/cli") && path != Path::new("src/main.rs") && path != Path::new("src/app.rs")
    });
    found(library.flat_map(code), |line| names(line, "anyhow"));
}

#[test]
fn every_queue_has_a_bound() {
    // In two pieces, so that this line is not found.
    let endless = [concat!("unbounded", "_channel"), concat!("Unbounded", "Sender"), concat!("mpsc::", "channel()")];
    found(sources("").flat_map(lines), |line| endless.iter().any(|name| line.contains(name)));
}

#[test]
fn every_file_begins_with_what_it_is() {
    let silent: Vec<PathBuf> = sources("").filter(|path| !read(path).starts_with("//! ")).collect();
    assert!(silent.is_empty(), "these begin without a //! line: {silent:#?}");
}

#[test]
fn both_readmes_have_the_same_headings_and_the_same_code() {
    let (english, russian) = (read(Path::new("README.md")), read(Path::new("README.ru.md")));
    assert!(english.contains("(README.ru.md)") && russian.contains("(README.md)"), "each names the other");
    let (english, russian) = (Outline::of(&english), Outline::of(&russian));
    assert_eq!(english.levels, russian.levels, "levels of the headings, in order");
    assert_eq!(english.blocks, russian.blocks, "code blocks, in order");
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let pages = files("").filter(|path| path.extension().is_some_and(|e| e == "md")).flat_map(lines);
    found(pages, |line| {
        let targets = line.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let here = line.path.parent().unwrap_or(Path::new(""));
        let mut local = targets.filter(|target| !target.is_empty() && !target.contains("://"));
        local.any(|target| !Path::new(ROOT).join(here).join(target).exists())
    });
}

#[test]
fn no_text_names_a_machine_or_a_registry() {
    // In pieces, so that these lines are not found.
    let folders = ["work", "root", "home"].map(|folder| format!("/{folder}"));
    let hosts = [("crates", "io"), ("pypi", "org"), ("pythonhosted", "org"), ("deb.debian", "org"), ("npmjs", "org")]
        .map(|(name, domain)| format!("{name}.{domain}"));
    // Cargo writes its lock file, and names the registry in it.
    let texts = files("").filter(|path| path != Path::new("Cargo.lock")).flat_map(lines);
    found(texts, |line| {
        hosts.iter().any(|host| line.contains(host)) || folders.iter().any(|folder| begins_a_path(line, folder))
    });
}

/// Whether an absolute path begins in this folder: not a part of a longer path or name.
fn begins_a_path(line: &str, folder: &str) -> bool {
    let is_path = |c: char| c.is_alphanumeric() || "_-./}".contains(c);
    line.match_indices(folder).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + folder.len()..].chars().next());
        !before.is_some_and(is_path) && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Whether the line has this name as a whole word.
fn names(line: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let (before, after) = (line[..at].chars().next_back(), line[at + name.len()..].chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// What two translations of a page have in common.
struct Outline {
    /// How many `#` each heading has.
    levels: Vec<usize>,
    /// The fenced code, with the language behind the fence.
    blocks: Vec<String>,
}

impl Outline {
    fn of(page: &str) -> Self {
        let (mut levels, mut blocks) = (Vec::new(), Vec::new());
        let mut block: Option<String> = None;
        for line in page.lines() {
            match &mut block {
                Some(text) if line.trim() == "```" => {
                    blocks.push(std::mem::take(text));
                    block = None;
                }
                Some(text) => text.extend(["\n", line]),
                None if line.starts_with("```") => block = Some(line.to_owned()),
                None if line.starts_with('#') => levels.push(line.bytes().take_while(|b| *b == b'#').count()),
                None => {}
            }
        }
        assert!(block.is_none() && !levels.is_empty(), "a page with headings and closed code blocks");
        Self { levels, blocks }
    }
}

/// A line of a file of the repository.
struct Line {
    path: PathBuf,
    number: usize,
    text: String,
}

impl std::ops::Deref for Line {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

/// Fails with the lines that break a rule.
fn found(lines: impl Iterator<Item = Line>, breaks: impl Fn(&Line) -> bool) {
    let mut looked_at = 0;
    let broken: Vec<String> = lines
        .inspect(|_| looked_at += 1)
        .filter(breaks)
        .map(|line| format!("{}:{}: {}", line.path.display(), line.number, line.text.trim()))
        .collect();
    assert!(broken.is_empty(), "{} lines break the rule:\n{}", broken.len(), broken.join("\n"));
    assert!(looked_at > 20, "only {looked_at} lines were looked at");
}

/// The lines that a program is made of: no comments, and not the tests at the end of the file.
fn code(path: PathBuf) -> impl Iterator<Item = Line> {
    let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
    let code = lines(path).take_while(|line| line.trim() != "#[cfg(test)]").filter(move |_| !is_test);
    code.map(|line| Line { text: line.text.split("//").next().unwrap_or_default().to_owned(), ..line })
}

fn lines(path: PathBuf) -> impl Iterator<Item = Line> {
    let texts: Vec<String> = read(&path).lines().map(str::to_owned).collect();
    iter::repeat(path).zip(texts).enumerate().map(|(at, (path, text))| Line { path, number: at + 1, text })
}

/// Rust files under `room`.
fn sources(room: &'static str) -> impl Iterator<Item = PathBuf> {
    files(room).filter(|path| path.extension().is_some_and(|ending| ending == "rs"))
}

/// Files under `room` that git has or would take, relative to the repository.
fn files(room: &'static str) -> impl Iterator<Item = PathBuf> {
    // The clone may belong to somebody else than the one who runs the tests.
    let git = Command::new("git")
        .args(["-c", "safe.directory=*", "-C", ROOT])
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .expect("git runs");
    assert!(git.status.success(), "git ls-files: {}", String::from_utf8_lossy(&git.stderr));
    let names = String::from_utf8(git.stdout).expect("names of files are UTF-8");
    let all: Vec<PathBuf> = names.split_terminator('\0').map(PathBuf::from).collect();
    assert!(!all.is_empty(), "no files in {ROOT}");
    // A file can be removed and the removal not committed yet.
    all.into_iter().filter(move |path| path.starts_with(room) && Path::new(ROOT).join(path).is_file())
}

/// The text of a file; nothing of one that is not text.
fn read(path: &Path) -> String {
    let bytes = fs::read(Path::new(ROOT).join(path)).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8(bytes).unwrap_or_default()
}
