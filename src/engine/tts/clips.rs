//! Clips for a voice out of a recording of a call, of which most is silence while the other side speaks.

/// A clip is as long as that, in seconds, unless somebody goes on without a pause; one that is shorter is no voice.
const LONG_S: f32 = 8.0;
const SHORTEST_S: f32 = 6.0;
const LONGEST_S: f32 = 30.0;
const MOST_CLIPS: usize = 3;
/// Of a pause no more is left, in seconds; half of it on each side of what is spoken.
const PAUSE_S: f32 = 0.5;
/// 40 ms.
const FRAMES_PER_S: usize = 25;
/// So much softer than the loudest tenth of what is not silent is no speech.
const SPEECH_DB: f32 = 25.0;
const SILENT_DB: f32 = -60.0;

/// What one person says in a recording, in up to three clips of 6 to 30 s with the pauses made short.
///
/// # Errors
/// When there is not enough of it.
pub fn clips(pcm: &[i16], rate_hz: u32) -> Result<Vec<Vec<i16>>, String> {
    let seconds = |samples: usize| samples as f32 / rate_hz.max(1) as f32;
    let mut clips: Vec<Vec<i16>> = Vec::new();
    let mut clip = Vec::new();
    let mut spoken = 0;
    for utterance in utterances(pcm, rate_hz) {
        spoken += utterance.len();
        let fits = seconds(clip.len() + utterance.len()) <= LONGEST_S;
        if seconds(clip.len()) >= LONG_S || !fits {
            clips.push(std::mem::take(&mut clip));
        }
        clip.extend(utterance.iter().take((LONGEST_S * rate_hz as f32) as usize));
    }
    clips.push(clip);
    clips.retain(|clip| seconds(clip.len()) >= SHORTEST_S);
    clips.truncate(MOST_CLIPS);
    match clips.is_empty() {
        true => Err(format!("{:.0} s of speech are in it: talk for half a minute in all", seconds(spoken))),
        false => Ok(clips),
    }
}

/// What is between the pauses, with half a pause on each side.
fn utterances(pcm: &[i16], rate_hz: u32) -> Vec<&[i16]> {
    let frame = (rate_hz as usize / FRAMES_PER_S).max(1);
    let levels: Vec<f32> = pcm.chunks(frame).map(level_db).collect();
    let mut loud: Vec<f32> = levels.iter().copied().filter(|level| *level > SILENT_DB).collect();
    loud.sort_by(f32::total_cmp);
    let Some(loudest) = loud.get(loud.len() * 9 / 10) else { return Vec::new() };
    let margin = (PAUSE_S / 2.0 * FRAMES_PER_S as f32) as usize;
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (n, _) in levels.iter().enumerate().filter(|(_, level)| **level > loudest - SPEECH_DB) {
        match runs.last_mut() {
            Some((_, end)) if n <= *end + 2 * margin => *end = n + 1,
            _ => runs.push((n, n + 1)),
        }
    }
    let of = |(start, end): (usize, usize)| {
        let (start, end) = (start.saturating_sub(margin) * frame, (end + margin) * frame);
        pcm.get(start..end.min(pcm.len()))
    };
    runs.into_iter().filter_map(of).collect()
}

fn level_db(frame: &[i16]) -> f32 {
    let power = frame.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>() / frame.len().max(1) as f32;
    10.0 * (power / 32_768.0_f32.powi(2)).max(1e-10).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: usize = 8_000;

    fn spoken(seconds: f32) -> Vec<i16> {
        (0..(seconds * HZ as f32) as usize).map(|n| ((n as f32 * 0.3).sin() * 9_000.0) as i16).collect()
    }

    fn call(parts: &[(f32, f32)]) -> Vec<i16> {
        parts
            .iter()
            .flat_map(|&(speech, pause)| [spoken(speech), vec![3; (pause * HZ as f32) as usize]].concat())
            .collect()
    }

    fn lengths(pcm: &[i16]) -> Vec<f32> {
        clips(pcm, HZ as u32).unwrap().iter().map(|clip| clip.len() as f32 / HZ as f32).collect()
    }

    #[test]
    fn speech_is_gathered_and_long_pauses_are_not() {
        let call = call(&[(3.0, 10.0), (3.0, 20.0), (3.0, 5.0), (4.0, 60.0), (4.0, 1.0), (1.0, 1.0), (1.0, 9.0)]);
        let lengths = lengths(&call);
        println!("{lengths:?}");
        assert_eq!(lengths.len(), 2);
        assert!(lengths.iter().all(|&seconds| (8.0..13.0).contains(&seconds)));
    }

    #[test]
    fn no_more_than_three_clips_of_at_most_half_a_minute() {
        let lengths = lengths(&call(&[(50.0, 2.0), (29.0, 2.0), (9.0, 2.0), (9.0, 2.0), (9.0, 2.0)]));
        println!("{lengths:?}");
        assert_eq!(lengths.len(), 3);
        assert!(lengths.iter().all(|&seconds| seconds <= LONGEST_S + 0.1));
    }

    #[test]
    fn too_little_speech_is_said_so() {
        for (pcm, expected) in
            [(call(&[(2.0, 60.0), (2.0, 60.0)]), "5 s of speech"), (vec![0; HZ * 60], "0 s"), (vec![], "0 s")]
        {
            let error = clips(&pcm, HZ as u32).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
