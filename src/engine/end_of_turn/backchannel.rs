//! Backchannels: the «угу» and "mm-hm" by which a listener says «go on» and does not ask for the turn.

use crate::engine::Language;
use crate::engine::dialog::front_desk::words::{self, is_listed};

/// «Да-да, ага, хорошо»: more words than that are a sentence.
const MOST_WORDS: usize = 4;

/// Whether the whole utterance is made of a few such words, as a recogniser writes them. The same «да» is an answer to
/// a question: this is for what is said while the other one speaks.
pub fn is_backchannel(text: &str, language: Language) -> bool {
    let words = words::split(text);
    let some = |list| words.iter().any(|word| is_of(&word.plain, list));
    let leads = match language {
        Language::Ru => "ну а",
        Language::En => "well",
    };
    let listed = match language {
        Language::Ru => "да так хорошо ясно понятно понял поняла конечно ладно окей ок точно именно вот",
        Language::En => "yes yeah yep yup right okay ok sure exactly fine alright good great i see got it",
    };
    let known = |plain: &str| is_hum(plain) || is_of(plain, listed) || is_of(plain, leads);
    words.len() <= MOST_WORDS
        && words.iter().all(|word| known(&word.plain))
        && words.iter().any(|word| is_hum(&word.plain) || is_of(&word.plain, listed))
        // "I" and "it" are none by themselves.
        && (language == Language::Ru || !some("i see") || some("see") && some("i"))
        && (language == Language::Ru || some("got") == some("it"))
}

/// Whether each part of a word such as «да-да» is in a list.
fn is_of(plain: &str, list: &str) -> bool {
    plain.split('-').all(|part| is_listed(part, list))
}

/// A sound without a word, in either alphabet whatever is spoken: «угу», «М-м», "Mm-hmm", "Uh-huh".
pub(super) fn is_hum(plain: &str) -> bool {
    let mut letters: Vec<char> = plain.chars().filter(|c| c.is_alphabetic()).collect();
    letters.dedup();
    let hum: String = letters.into_iter().collect();
    is_listed(&hum, "угу ага аха ого м хм мхм мгм мгу уху у ах ох о mhm m hm mh uhu uhuh huh aha ah oh ohh ooh")
}

#[cfg(test)]
mod tests {
    use super::*;
    use Language::{En, Ru};

    #[test]
    fn a_few_sounds_of_agreement_are_a_backchannel() {
        for (language, text) in [
            (Ru, "Угу."),
            (Ru, "У-гу"),
            (Ru, "угу, угу"),
            (Ru, "Ага."),
            (Ru, "Да-да-да."),
            (Ru, "Да, да."),
            (Ru, "Так."),
            (Ru, "Так-так."),
            (Ru, "Мм"),
            (Ru, "М-м."),
            (Ru, "Ммм..."),
            (Ru, "Хм."),
            (Ru, "М-хм"),
            (Ru, "Mm-hmm."),
            (Ru, "Ну да"),
            (Ru, "Ага, понятно."),
            (Ru, "Да, хорошо, ага"),
            (Ru, "Окей."),
            (En, "Mm-hm."),
            (En, "Mm-hmm."),
            (En, "Mhm"),
            (En, "Uh-huh."),
            (En, "Hmm."),
            (En, "Right."),
            (En, "Okay, okay."),
            (En, "Yeah, right"),
            (En, "Oh, I see."),
            (En, "Got it."),
            (En, "Well, yeah."),
        ] {
            assert!(is_backchannel(text, language), "{text}");
        }
    }

    #[test]
    fn whatever_asks_for_the_turn_is_none() {
        for (language, text) in [
            (Ru, ""),
            (Ru, "..."),
            (Ru, "Нет."),
            (Ru, "Ну"),
            (Ru, "Подождите."),
            (Ru, "Да, подождите"),
            (Ru, "Алло?"),
            (Ru, "Угу, а сколько стоит?"),
            (Ru, "Так, секундочку."),
            (Ru, "Да, восемь"),
            (Ru, "Не так"),
            (Ru, "Хорошо, спасибо, до свидания"),
            (Ru, "да да да да да да"),
            (En, "No."),
            (En, "Well"),
            (En, "Wait."),
            (En, "I"),
            (En, "It."),
            (En, "Right, but"),
            (En, "Okay, how much is it?"),
            (En, "Yes, that is wrong"),
            (En, "Hello?"),
        ] {
            assert!(!is_backchannel(text, language), "{text}");
        }
    }
}
