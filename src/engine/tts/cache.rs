//! What was said before, in memory: phrases prepared for good, and the most recent of the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::Language;

/// Sound kept besides the prepared phrases: 16 minutes at 8 kHz.
const MAX_SAMPLES: usize = 8_000_000;

/// Clauses by their text, language, rate and voice, which is its place in the configuration. The text has been made speakable, so that one phrase has one key.
pub struct Cache {
    kept: Mutex<Kept>,
    max_samples: usize,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    clause: String,
    language: Language,
    rate_hz: u32,
    voice: usize,
}

struct Entry {
    pcm: Arc<[i16]>,
    for_good: bool,
    /// When it was last asked for, counted in questions.
    used: u64,
}

#[derive(Default)]
struct Kept {
    entries: HashMap<Key, Entry>,
    /// In entries that may go.
    samples: usize,
    questions: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { kept: Mutex::default(), max_samples: MAX_SAMPLES }
    }
}

impl Cache {
    pub fn get(&self, clause: &str, language: Language, rate_hz: u32, voice: usize) -> Option<Arc<[i16]>> {
        let mut kept = self.lock();
        kept.questions += 1;
        let used = kept.questions;
        let entry = kept.entries.get_mut(&Key { clause: clause.to_owned(), language, rate_hz, voice })?;
        entry.used = used;
        Some(Arc::clone(&entry.pcm))
    }

    /// Keeps a clause, `for_good` or until others have been used more recently.
    pub fn put(&self, clause: &str, language: Language, rate_hz: u32, voice: usize, pcm: Vec<i16>, for_good: bool) {
        if pcm.len() > self.max_samples {
            return;
        }
        let mut kept = self.lock();
        let key = Key { clause: clause.to_owned(), language, rate_hz, voice };
        let old = kept.entries.remove(&key);
        let for_good = for_good || old.as_ref().is_some_and(|old| old.for_good);
        kept.samples -= old.filter(|old| !old.for_good).map_or(0, |old| old.pcm.len());
        kept.samples += if for_good { 0 } else { pcm.len() };
        let entry = Entry { pcm: pcm.into(), for_good, used: kept.questions };
        kept.entries.insert(key, entry);
        while kept.samples > self.max_samples && kept.forget_one() {}
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Drops the entry not used for longest; false when all are kept for good.
    fn forget_one(&mut self) -> bool {
        let oldest = self.entries.iter().filter(|(_, e)| !e.for_good).map(|(_, e)| e.used).min();
        let before = self.entries.len();
        let mut freed = 0;
        self.entries.retain(|_, entry| {
            let goes = !entry.for_good && Some(entry.used) == oldest;
            freed += if goes { entry.pcm.len() } else { 0 };
            !goes
        });
        self.samples -= freed;
        self.entries.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    fn small() -> Cache {
        Cache { max_samples: 100, ..Cache::default() }
    }

    #[test]
    fn clause_is_found_by_text_language_rate_and_voice() {
        let cache = small();
        cache.put("Да.", Ru, 8_000, 0, vec![1, 2, 3], false);
        assert_eq!(cache.get("Да.", Ru, 8_000, 0).as_deref(), Some(&[1, 2, 3][..]));
        for (clause, language, rate_hz, voice) in
            [("Нет.", Ru, 8_000, 0), ("Да.", En, 8_000, 0), ("Да.", Ru, 16_000, 0), ("Да.", Ru, 8_000, 1)]
        {
            assert!(cache.get(clause, language, rate_hz, voice).is_none());
        }
    }

    #[test]
    fn least_recently_used_goes_first_and_prepared_phrases_stay() {
        let cache = small();
        cache.put("prepared", En, 8_000, 0, vec![0; 90], true);
        cache.put("a", En, 8_000, 0, vec![0; 50], false);
        cache.get("prepared", En, 8_000, 0);
        cache.put("b", En, 8_000, 0, vec![0; 50], false);
        cache.get("a", En, 8_000, 0);
        cache.put("c", En, 8_000, 0, vec![0; 50], false);
        let found = ["prepared", "a", "b", "c"].map(|clause| cache.get(clause, En, 8_000, 0).is_some());
        assert_eq!(found, [true, true, false, true]);
    }

    #[test]
    fn cache_stays_within_its_bound() {
        let cache = small();
        for n in 0..1_000_usize {
            cache.put(&(n % 7).to_string(), En, 8_000, 0, vec![0; n % 120], n % 50 == 0 && n < 100);
            let kept = cache.lock();
            let held: usize = kept.entries.values().filter(|e| !e.for_good).map(|e| e.pcm.len()).sum();
            assert_eq!(held, kept.samples);
            assert!(held <= 100);
        }
    }
}
