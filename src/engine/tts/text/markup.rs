//! What of a text is meant to be read: without Markdown, HTML, JSON, emoticons and invisible characters.
//!
//! Left out: whatever needs more than a look at a line, as nested lists and tables of several lines in a cell.

/// A tag or an entity is not longer, in bytes.
const MAX_TAG: usize = 300;

/// The text that was meant.
pub fn plain(text: &str) -> String {
    let text: String = composed(text);
    let text = without_blocks(&text);
    let text = without_tags(&text);
    let text = without_data(&text);
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        inline(line_body(line), &mut out);
    }
    out
}

/// One character for a letter and its dots, digits in ASCII, nothing that is not seen.
fn composed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => {}
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => {}
            // The picture of a key: the digit before it is part of the picture.
            '\u{20e3}' => drop(out.pop()),
            '\u{fe00}'..='\u{fe0f}' => {}
            '\u{306}' if out.ends_with(['и', 'И']) => replace_last(&mut out, 'й', 'Й'),
            '\u{308}' if out.ends_with(['е', 'Е']) => replace_last(&mut out, 'ё', 'Ё'),
            '\u{ff10}'..='\u{ff19}' => out.extend(char::from_u32(c as u32 - 0xff10 + u32::from('0'))),
            '\u{2160}'..='\u{216b}' => out.push_str(ROMAN.get(c as usize - 0x2160).copied().unwrap_or_default()),
            _ => out.push(c),
        }
    }
    out
}

const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

fn replace_last(out: &mut String, small: char, capital: char) {
    let was = out.pop();
    out.push(if was.is_some_and(char::is_uppercase) { capital } else { small });
}

/// Without what stands between three backticks: that is code.
fn without_blocks(text: &str) -> String {
    let mut parts = text.split("```");
    let mut out = parts.next().unwrap_or_default().to_owned();
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(after) => {
                out.push('\n');
                out.push_str(after);
            }
            // A fence that is never closed.
            None => out.push_str(code),
        }
    }
    out
}

/// Without tags and comments of HTML and SSML; entities become their characters.
fn without_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        rest = match tag(from).or_else(|| entity(from)) {
            Some((said, len)) => {
                out.push_str(&said);
                from.get(len..).unwrap_or_default()
            }
            None => {
                out.push_str(from.get(..1).unwrap_or_default());
                from.get(1..).unwrap_or_default()
            }
        };
    }
    out.push_str(rest);
    out
}

/// What a tag stands for in the text, and its length with all that is not read because of it.
fn tag(from: &str) -> Option<(String, usize)> {
    if from.starts_with("<!--") {
        return Some((String::new(), from.find("-->").map_or(from.len(), |end| end + 3)));
    }
    let body = from.strip_prefix('<')?;
    let named = body.strip_prefix(['/', '?', '!']).unwrap_or(body);
    let name_len = named.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(named.len());
    let name = named.get(..name_len)?.to_ascii_lowercase();
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || named.get(name_len..)?.starts_with([':', '@', '.']) {
        return None;
    }
    let head: &str = from.get(..from.floor_char_boundary(MAX_TAG))?;
    let end = head.find('>')? + 1;
    if matches!(name.as_str(), "script" | "style") && !body.starts_with('/') {
        let close = from.find(&format!("</{name}")).unwrap_or(from.len());
        return Some((String::new(), close.max(end)));
    }
    let breaks = ["br", "p", "div", "li", "ul", "ol", "tr", "h1", "h2", "h3", "h4", "table", "hr", "break", "s"];
    Some((if breaks.contains(&name.as_str()) { "\n" } else { "" }.to_owned(), end))
}

fn entity(from: &str) -> Option<(String, usize)> {
    const NAMED: [(&str, &str); 18] = [
        ("nbsp", " "),
        ("amp", "&"),
        ("lt", "<"),
        ("gt", ">"),
        ("quot", "\""),
        ("apos", "'"),
        ("laquo", "«"),
        ("raquo", "»"),
        ("ldquo", "“"),
        ("rdquo", "”"),
        ("mdash", "—"),
        ("ndash", "–"),
        ("hellip", "…"),
        ("deg", "°"),
        ("euro", "€"),
        ("pound", "£"),
        ("times", "×"),
        ("shy", ""),
    ];
    let name = from.get(1..from.floor_char_boundary(12))?.split_once(';')?.0;
    let said = match name.strip_prefix('#') {
        Some(code) => {
            let code = match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => code.parse(),
            };
            char::from_u32(code.ok()?)?.to_string()
        }
        None => NAMED.iter().find(|(known, _)| *known == name)?.1.to_owned(),
    };
    Some((said, name.len() + 2))
}

/// Without what looks like JSON: braces around a quoted name, and brackets around quoted values.
fn without_data(text: &str) -> String {
    let mut open: Vec<usize> = Vec::new();
    let mut data: Vec<(usize, usize)> = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '{' | '[' => open.push(at),
            '}' | ']' => {
                let Some(start) = open.pop() else { continue };
                let inside = text.get(start + 1..at).unwrap_or_default().trim_start();
                if inside.starts_with(['"', '{', '[']) || (c == '}' && inside.is_empty()) {
                    while data.pop_if(|(from, _)| *from > start).is_some() {}
                    data.push((start, at + 1));
                }
            }
            _ => {}
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end) in data {
        out.push_str(text.get(from..start).unwrap_or_default());
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// A line without what makes it a heading, a quotation or an item of a list; nothing of a line that is only drawn.
fn line_body(line: &str) -> &str {
    let mut line = line.trim();
    if line.chars().all(|c| "-=_*|:+ ".contains(c)) {
        return "";
    }
    let heading = line.trim_start_matches('#');
    if heading.len() < line.len() && heading.starts_with(' ') {
        line = heading.trim();
    }
    for bullet in ["> ", "- ", "* ", "+ ", "• ", "— ", "– ", "[ ] ", "[x] ", "| "] {
        line = line.strip_prefix(bullet).unwrap_or(line).trim_start();
    }
    line.strip_suffix('|').unwrap_or(line)
}

/// The line without links' addresses, emphasis and emoticons.
fn inline(line: &str, out: &mut String) {
    let mut rest = listed(line, out);
    while let Some(c) = rest.chars().next() {
        let skipped = link(rest).or_else(|| emoticon(rest, out));
        if let Some((said, len)) = skipped {
            out.push_str(said);
            rest = rest.get(len..).unwrap_or_default();
            continue;
        }
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let digit_beside =
            after.starts_with(|c: char| c.is_ascii_digit()) || out.ends_with(|c: char| c.is_ascii_digit());
        match c {
            '`' => {}
            '*' | '~' if after.starts_with(c) || out.ends_with(c) || (c == '*' && !digit_beside) => {
                rest = after.trim_start_matches(c);
                continue;
            }
            _ => out.push(c),
        }
        rest = after;
    }
}

/// `1. ` and `1) ` of a list become `1, `, which is no end of a sentence.
fn listed<'a>(line: &'a str, out: &mut String) -> &'a str {
    let digits = line.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
    let body = line.get(digits..).unwrap_or_default();
    match body.strip_prefix(". ").or(body.strip_prefix(") ")) {
        Some(item) if (1..=2).contains(&digits) && item.starts_with(char::is_alphabetic) => {
            out.push_str(line.get(..digits).unwrap_or_default());
            out.push_str(", ");
            item
        }
        _ => line,
    }
}

/// The words of `[words](address)`, and nothing of a picture.
fn link(rest: &str) -> Option<(&str, usize)> {
    let picture = rest.starts_with("![");
    let body = rest.strip_prefix("![").or(rest.strip_prefix('['))?;
    let body = body.get(..body.floor_char_boundary(MAX_TAG))?;
    let (words, after) = body.split_once("](")?;
    let address = after.get(..after.find(')')?)?;
    if words.contains('[') {
        return None;
    }
    let len = usize::from(picture) + 1 + words.len() + 2 + address.len() + 1;
    Some((if picture { "" } else { words }, len))
}

/// `:-)` and its like; after a word they end a sentence as a full stop would.
fn emoticon(rest: &str, out: &str) -> Option<(&'static str, usize)> {
    let smiles = [":-)", ":-(", ";-)", ":-D", ":)", ":(", ";)", ":D", "=)", ":*", "^_^", "))", "(("];
    let smile = smiles.iter().find(|smile| rest.starts_with(**smile))?;
    let sides = if smile.ends_with('(') { '(' } else { ')' };
    let len = smile.len() + rest.get(smile.len()..)?.chars().take_while(|c| *c == sides).count();
    // Two brackets that were opened are no smile.
    let opened = *smile == "))" && out.rfind('(').is_some_and(|at| out.rfind(')').is_none_or(|closed| closed < at));
    if (*smile == "))" && opened) || *smile == "((" && rest.get(..rest.floor_char_boundary(MAX_TAG))?.contains(')') {
        return None;
    }
    let ended = out.trim_end().ends_with(['.', '!', '?']) || out.trim_end().is_empty();
    Some((if ended { " " } else { ". " }, len))
}
