//! Who is on the line, by the sound: tones of the network and of machines, and music. Words are for [`words`].
//!
//! A frame is a tone if nearly all of its energy is at the one or two frequencies of a tone of the network (ITU-T E.180,
//! Supplement 2 for those of countries). Its name comes from the cadence: how long it sounds and is silent, the same several
//! times. Music keeps a good part of its energy on the same steps of the scale from one tenth of a second to the next; a
//! voice glides, and noise has none there.
//!
//! Left out: which country a tone is of, the dial tone, the data of a fax machine, music with a singer, who counts as
//! speech.

pub mod words;

use std::collections::VecDeque;

use crate::rtp::{Rate, tones::energies};

/// What is heard instead of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// It rings at somebody's.
    Ringback,
    /// Busy, or no way through: nobody will answer.
    Busy,
    /// The three rising tones before an announcement that the number cannot be reached.
    Unobtainable,
    /// A fax machine that calls (CNG).
    Fax,
    /// A modem or a fax machine that answers.
    Modem,
    /// Music, as while one is on hold.
    Music,
}

/// A frame is 20 ms.
const FRAME: usize = 160;
/// The least loudness of a tone or of music, as the root of the mean square of 16-bit samples: −46 dB of full scale.
const QUIETEST: f32 = 160.0;
/// A tone's least part of the energy.
const PART: f32 = 0.8;
/// The frames of a pause that may be louder than an eighth of the tone: at its edges.
const EDGES: u32 = 3;
/// The tones of the cadences: so many bursts and pauses are remembered.
const REMEMBERED: usize = 8;
/// The answer of a machine lasts for 2.6 s at least; it is certain after 2 s.
const ANSWER_FRAMES: u32 = 100;
/// After so many frames of speech in all, what is heard is news again: 1 s.
const SPOKEN_FRAMES: u32 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    /// One or two tones from 350 to 620 Hz.
    Progress,
    /// The three of a special information tone.
    First,
    Second,
    Third,
    Calling,
    Answer,
}

/// Frequencies in Hz that are looked for.
const HZ: [f32; 17] = [
    350.0, 400.0, 425.0, 440.0, 450.0, 480.0, 620.0, // progress
    913.8, 985.2, // special information
    1_080.0, 1_100.0, 1_120.0, // fax
    1_370.6, 1_428.5, 1_776.7, // special information
    2_100.0, 2_225.0, // answer
];
/// What they are together, by their places.
const TONES: [(Tone, &[usize]); 19] = [
    (Tone::Progress, &[1]),
    (Tone::Progress, &[2]),
    (Tone::Progress, &[3]),
    (Tone::Progress, &[4]),
    (Tone::Progress, &[5]),
    (Tone::Progress, &[1, 4]),
    (Tone::Progress, &[3, 5]),
    (Tone::Progress, &[5, 6]),
    (Tone::Progress, &[0, 3]),
    (Tone::First, &[7]),
    (Tone::First, &[8]),
    (Tone::Calling, &[9]),
    (Tone::Calling, &[10]),
    (Tone::Calling, &[11]),
    (Tone::Second, &[12]),
    (Tone::Second, &[13]),
    (Tone::Third, &[14]),
    (Tone::Answer, &[15]),
    (Tone::Answer, &[16]),
];

/// A tone or a pause, and for how many frames.
#[derive(Debug, Clone, Copy)]
struct Run {
    tone: Option<Tone>,
    frames: u32,
    /// Of a pause, those in which something else was heard.
    loud: u32,
}

/// Listens to the sound of a call.
#[derive(Debug)]
pub struct LineClassifier {
    rate: Rate,
    run: Run,
    /// The energy of the last frame of a tone.
    tone_energy: f32,
    /// What went before, the latest last.
    past: VecDeque<Run>,
    music: Music,
    told: Option<Heard>,
    spoken: u32,
}

impl LineClassifier {
    /// For frames at `rate`.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            run: Run { tone: None, frames: 0, loud: 0 },
            tone_energy: 0.0,
            past: VecDeque::with_capacity(REMEMBERED + 1),
            music: Music::default(),
            told: None,
            spoken: 0,
        }
    }

    /// Takes the next 20 ms, and whether there is speech in them. Tells what is recognised, once: the same again only after
    /// somebody has spoken for a second in all.
    pub fn push(&mut self, frame: &[i16], is_speech: bool) -> Option<Heard> {
        let narrow = narrow(frame, self.rate);
        let energy: f32 = narrow.iter().map(|&sample| f32::from(sample).powi(2)).sum();
        let is_audible = energy >= QUIETEST * QUIETEST * FRAME as f32;
        let tone = if is_audible { tone(&narrow, energy) } else { None };
        if tone.is_some() {
            self.tone_energy = energy;
        }
        let heard = self.note(tone, energy > self.tone_energy / 8.0);
        let music = self.music.push(&narrow, energy, tone.is_some(), is_speech);
        self.tell(heard.or(music), is_speech)
    }

    fn tell(&mut self, heard: Option<Heard>, is_speech: bool) -> Option<Heard> {
        if is_speech {
            self.spoken += 1;
            if self.spoken >= SPOKEN_FRAMES {
                (self.spoken, self.told) = (0, None);
            }
        }
        let news = heard.filter(|_| self.told != heard)?;
        (self.spoken, self.told) = (0, Some(news));
        Some(news)
    }

    fn note(&mut self, tone: Option<Tone>, is_loud: bool) -> Option<Heard> {
        if tone != self.run.tone {
            self.change(tone);
        }
        self.run.frames = self.run.frames.saturating_add(1);
        self.run.loud += u32::from(tone.is_none() && is_loud);
        if self.run.tone == Some(Tone::Answer) && self.run.frames == ANSWER_FRAMES {
            return Some(Heard::Modem);
        }
        // A tone that has just ended.
        if self.run.tone.is_none() && self.run.frames == 2 { self.cadence() } else { None }
    }

    /// Another run begins. One frame alone is none: the phase of an answer is turned over now and then.
    fn change(&mut self, tone: Option<Tone>) {
        let interrupted = self.past.back().filter(|last| self.run.frames == 1 && last.tone == tone).copied();
        match interrupted {
            Some(last) => {
                self.past.pop_back();
                self.run = Run { frames: last.frames + 1, ..last };
            }
            None => {
                self.past.push_back(self.run);
                if self.past.len() > REMEMBERED {
                    self.past.pop_front();
                }
                self.run = Run { tone, frames: 0, loud: 0 };
            }
        }
    }

    /// What the bursts so far are, the last of which has just ended.
    fn cadence(&self) -> Option<Heard> {
        let mut back = self.past.iter().rev();
        let last = back.next()?;
        match last.tone? {
            Tone::Progress => self.progress(),
            Tone::Calling => {
                let (pause, before) = (back.next()?, back.next()?);
                let is_fax = before.tone == last.tone
                    && [before, last].iter().all(|burst| (20..=30).contains(&burst.frames))
                    && is_pause(pause, 125, 180);
                is_fax.then_some(Heard::Fax)
            }
            Tone::Third => {
                let bursts = self.past.iter().rev().filter(|run| run.tone.is_some()).take(3);
                let pauses = self.past.iter().rev().take_while(|run| run.tone != Some(Tone::First));
                let short = pauses.filter(|run| run.tone.is_none()).all(|pause| pause.frames <= 4);
                let whole = bursts.clone().all(|burst| (10..=24).contains(&burst.frames));
                let rising = bursts.map(|burst| burst.tone).eq([Tone::Third, Tone::Second, Tone::First].map(Some));
                (rising && whole && short).then_some(Heard::Unobtainable)
            }
            Tone::First | Tone::Second | Tone::Answer => None,
        }
    }

    fn progress(&self) -> Option<Heard> {
        // The latest first: bursts in even places, pauses in odd ones.
        let runs: Vec<&Run> = self.past.iter().rev().collect();
        let whole = runs.iter().enumerate().take_while(|(at, run)| match at % 2 {
            0 => run.tone == Some(Tone::Progress),
            _ => run.tone.is_none() && run.loud <= EDGES + run.frames / 10,
        });
        let frames: Vec<u32> = whole.map(|(_, run)| run.frames).collect();
        let alike = |a: u32, b: u32| a.abs_diff(b) <= 4;
        match frames[..] {
            // Of equal lengths, or in turns of two lengths.
            [a, b, c, d, e, f, g, ..]
                if [a, b, c, d, e, f, g].iter().all(|frames| (8..=34).contains(frames))
                    && alike(a, e)
                    && alike(c, g)
                    && alike(b, f) =>
            {
                Some(Heard::Busy)
            }
            [a, pause, b, ..] if (30..=115).contains(&a) && alike(a, b) && (85..=260).contains(&pause) => {
                Some(Heard::Ringback)
            }
            // Twice in a row, as in Britain.
            [a, pause, b, between, c, ..]
                if [a, b, c].iter().all(|burst| (15..=24).contains(burst))
                    && (8..=14).contains(&pause.min(between))
                    && (85..=120).contains(&pause.max(between)) =>
            {
                Some(Heard::Ringback)
            }
            _ => None,
        }
    }
}

fn is_pause(run: &Run, least: u32, most: u32) -> bool {
    run.tone.is_none() && (least..=most).contains(&run.frames) && run.loud <= EDGES + run.frames / 10
}

/// The frame at 8 kHz: nothing that is looked for is above.
fn narrow(frame: &[i16], rate: Rate) -> [i16; FRAME] {
    let step = rate.scaled(1);
    let mean = |at: usize| {
        let samples = frame.get(at * step..(at + 1) * step).unwrap_or_default();
        samples.iter().map(|&sample| i32::from(sample)).sum::<i32>() / step as i32
    };
    std::array::from_fn(|at| mean(at) as i16)
}

fn tone(frame: &[i16; FRAME], energy: f32) -> Option<Tone> {
    let at = energies(frame, &HZ, Rate::Narrow);
    let part = |places: &[usize]| places.iter().map(|&place| at[place]).sum::<f32>() / energy;
    let parts = TONES.iter().map(|(tone, places)| (*tone, part(places)));
    parts.filter(|(_, part)| *part >= PART).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(tone, _)| tone)
}

/// Steps of the scale from C4 up, three octaves.
const STEPS: usize = 37;
/// A window of 100 ms, whose frequencies are 10 Hz apart.
const WINDOW: usize = 800;
/// So many windows are judged together: 6 s.
const WINDOWS: usize = 60;
/// The mean part of the energy that stays on the same step. Of music it is 0.3 to 0.5, of speech and noise at most 0.13.
const STEADY: f32 = 0.2;
/// The greatest part of the frames in which speech is heard all the same.
const SPEECH: f32 = 0.25;

#[derive(Debug)]
struct Music {
    window: Vec<i16>,
    energy: f32,
    has_tone: bool,
    speech: u32,
    /// The energies of the last window on the steps, as parts of its own.
    before: [f32; STEPS],
    /// Of each window, the part of its energy that stayed on its steps, and its frames of speech.
    scores: VecDeque<(f32, u32)>,
    steps: [f32; STEPS],
}

impl Default for Music {
    fn default() -> Self {
        Self {
            window: Vec::with_capacity(WINDOW),
            energy: 0.0,
            has_tone: false,
            speech: 0,
            before: [0.0; STEPS],
            scores: VecDeque::with_capacity(WINDOWS),
            steps: std::array::from_fn(|step| 440.0 * ((step as f32 - 9.0) / 12.0).exp2()),
        }
    }
}

impl Music {
    fn push(&mut self, frame: &[i16; FRAME], energy: f32, is_tone: bool, is_speech: bool) -> Option<Heard> {
        self.window.extend_from_slice(frame);
        self.energy += energy;
        self.has_tone |= is_tone;
        self.speech += u32::from(is_speech);
        if self.window.len() < WINDOW {
            return None;
        }
        let score = self.score();
        if self.scores.len() == WINDOWS {
            self.scores.pop_front();
        }
        self.scores.push_back((score, self.speech));
        self.window.clear();
        let is_spoken_over = self.speech > 0;
        (self.energy, self.has_tone, self.speech) = (0.0, false, 0);
        let frames = (WINDOWS * WINDOW / FRAME) as f32;
        let steady = self.scores.iter().map(|(score, _)| score).sum::<f32>() / WINDOWS as f32;
        let spoken = self.scores.iter().map(|(_, speech)| *speech as f32).sum::<f32>() / frames;
        let is_music = self.scores.len() == WINDOWS && steady >= STEADY && spoken <= SPEECH && !is_spoken_over;
        is_music.then_some(Heard::Music)
    }

    fn score(&mut self) -> f32 {
        if self.has_tone || self.energy < QUIETEST * QUIETEST * WINDOW as f32 {
            self.before = [0.0; STEPS];
            return 0.0;
        }
        let now = energies(&self.window, &self.steps, Rate::Narrow).map(|energy| energy / self.energy);
        let stayed = now.iter().zip(self.before).map(|(now, before)| now.min(before)).sum();
        self.before = now;
        stayed
    }
}

#[cfg(test)]
mod tests;
