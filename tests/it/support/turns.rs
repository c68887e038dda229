//! Turns of people that are whole, and the same cut in the middle of a sentence: tests/data/speech/cuts.tsv.

use secretary::engine::Language;

use super::speech::by_telephone;

pub const RATE_HZ: u32 = 8_000;

/// A turn as the telephone carries it, up to the moment at which it is asked about.
pub struct Turn {
    pub language: Language,
    pub whole: Vec<i16>,
    pub cut: Vec<i16>,
}

/// Those that `wanted` names, with so much silence behind the last word.
pub fn turns(silence_ms: usize, wanted: impl Fn(&str) -> bool) -> Vec<Turn> {
    let rows = include_str!("../../data/speech/cuts.tsv").lines().skip(1).map(|row| {
        let mut fields = row.split('\t');
        let file = fields.next().unwrap();
        let mut seconds = || fields.next().unwrap().parse::<f64>().unwrap();
        (file, seconds(), seconds())
    });
    let turn = |(file, cut_s, end_s): (&str, f64, f64)| {
        let pcm = by_telephone(file);
        let until = |seconds: f64| {
            let mut part = pcm[..((seconds * f64::from(RATE_HZ)) as usize).min(pcm.len())].to_vec();
            part.resize(part.len() + silence_ms * RATE_HZ as usize / 1_000, 0);
            part
        };
        let language = if file.starts_with("ru") { Language::Ru } else { Language::En };
        Turn { language, whole: until(end_s), cut: until(cut_s) }
    };
    rows.filter(|(file, ..)| wanted(file)).map(turn).collect()
}
