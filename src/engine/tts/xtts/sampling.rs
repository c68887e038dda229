//! Which token comes next: repetition penalty, temperature, the likeliest `top_k` and of these `top_p` of the probability, in
//! the order of Hugging Face's `generate`.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::manifest::Sampling;

/// Draws the tokens of one utterance.
pub struct Sampler {
    settings: Sampling,
    rng: StdRng,
    /// Whether a token has been said, by its number.
    said: Vec<bool>,
}

impl Sampler {
    /// `before` counts as said. The seed goes with the text: one text sounds the same each time, and two do not share their
    /// luck.
    pub fn new(settings: Sampling, seed: u64, tokens: usize, before: &[usize]) -> Self {
        let mut sampler = Self { settings, rng: StdRng::seed_from_u64(seed), said: vec![false; tokens] };
        before.iter().for_each(|&token| sampler.note(token));
        sampler
    }

    /// The next token by its logits, which are changed.
    pub fn next(&mut self, logits: &mut [f32]) -> usize {
        self.penalise(logits);
        let token = if self.settings.temperature == 0.0 { likeliest(logits) } else { self.draw(logits) };
        self.note(token);
        token
    }

    /// What was said is less likely.
    fn penalise(&self, logits: &mut [f32]) {
        let penalty = self.settings.repetition_penalty;
        for (logit, _) in logits.iter_mut().zip(&self.said).filter(|(_, said)| **said) {
            // A negative logit grows more negative.
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }

    fn draw(&mut self, logits: &[f32]) -> usize {
        let choices = self.choices(logits);
        let mut left = self.rng.random::<f32>();
        for &(token, probability) in &choices {
            left -= probability;
            if left <= 0.0 {
                return token;
            }
        }
        choices.last().map_or(0, |&(token, _)| token)
    }

    /// The tokens that may be drawn with their probabilities, which together are 1, the likeliest first.
    fn choices(&self, logits: &[f32]) -> Vec<(usize, f32)> {
        let Sampling { temperature, top_k, top_p, .. } = self.settings;
        let mut best: Vec<(usize, f32)> = logits.iter().copied().enumerate().filter(|(_, l)| !l.is_nan()).collect();
        best.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        best.truncate(top_k);
        let Some(&(_, most)) = best.first() else { return best };
        for (_, logit) in &mut best {
            *logit = ((*logit - most) / temperature).exp();
        }
        let total: f32 = best.iter().map(|(_, weight)| weight).sum();
        // The one with which the sum reaches top_p is still in.
        let mut sum = 0.0;
        let nucleus = best.into_iter().take_while(|(_, weight)| {
            let before = sum;
            sum += weight / total;
            before < top_p
        });
        let nucleus: Vec<(usize, f32)> = nucleus.collect();
        let total: f32 = nucleus.iter().map(|(_, weight)| weight).sum();
        nucleus.into_iter().map(|(token, weight)| (token, weight / total)).collect()
    }

    /// With which probability each token would be drawn next, the likeliest first. The logits are changed.
    pub fn probabilities(&self, logits: &mut [f32]) -> Vec<(usize, f32)> {
        self.penalise(logits);
        self.choices(logits)
    }

    fn note(&mut self, token: usize) {
        if let Some(said) = self.said.get_mut(token) {
            *said = true;
        }
    }
}

fn likeliest(logits: &[f32]) -> usize {
    let mut best = (0, f32::MIN);
    for (token, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (token, logit);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 50, top_p: 0.85, repetition_penalty: 10.0, seed: 0 };
    const DRAWN: Sampling = Sampling { temperature: 1.0, ..GREEDY };

    #[test]
    fn what_was_said_is_less_likely_whatever_its_sign() {
        let mut sampler = Sampler::new(GREEDY, 0, 4, &[0]);
        assert_eq!(sampler.next(&mut [5.0, 1.0, -1.0, -2.0]), 1, "5 / 10 is less than 1");
        assert_eq!(sampler.next(&mut [5.0, 1.0, -1.0, -2.0]), 0, "0.5 is more than 0.1");
        assert_eq!(sampler.next(&mut [-0.5, -0.2, -1.0, -2.0]), 2, "-0.5 became -5, -0.2 became -2");
    }

    #[test]
    fn only_the_likeliest_are_drawn() {
        // 0.64, 0.24, 0.09, 0.03 of the probability: with 0.85 of it two are left, whatever top_k is.
        let logits = [3.0_f32, 2.0, 1.0, 0.0];
        for (settings, expected) in [
            (DRAWN, vec![0, 1]),
            (Sampling { top_k: 1, ..DRAWN }, vec![0]),
            (Sampling { top_p: 1.0, ..DRAWN }, vec![0, 1, 2, 3]),
            (Sampling { temperature: 0.1, ..DRAWN }, vec![0]),
        ] {
            let drawn = |seed| Sampler::new(settings, seed, 4, &[]).next(&mut logits.clone());
            let mut tokens: Vec<usize> = (0..1_000).map(drawn).collect();
            let most = tokens.iter().filter(|&&token| token == 0).count();
            tokens.sort_unstable();
            tokens.dedup();
            assert_eq!(tokens, expected, "{settings:?}");
            assert!(most > 550, "{most} of 1000");
        }
    }

    #[test]
    fn a_seed_makes_the_same_choice_again() {
        let draw = |seed| -> Vec<usize> {
            let mut sampler = Sampler::new(Sampling { top_p: 1.0, ..DRAWN }, seed, 100, &[]);
            (0..20).map(|_| sampler.next(&mut [0.0; 100])).collect()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn logits_that_are_no_numbers_do_no_harm() {
        assert_eq!(Sampler::new(DRAWN, 0, 3, &[]).next(&mut [f32::NAN; 3]), 0);
        assert_eq!(Sampler::new(GREEDY, 0, 3, &[]).next(&mut [f32::NAN, 1.0, f32::NEG_INFINITY]), 1);
        assert_eq!(Sampler::new(DRAWN, 0, 0, &[]).next(&mut []), 0);
    }
}
