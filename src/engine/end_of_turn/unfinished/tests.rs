//! Sentences of callers, whole and cut.

use super::Unfinished::{Address, Conjunction, Hesitation, Number, Spelling};
use super::*;
use Language::{En, Ru};

fn check(language: Language, dictating: bool, table: &[(&str, Option<Unfinished>)]) {
    let wrong: Vec<_> = table
        .iter()
        .map(|&(text, expected)| (text, unfinished(text, language, dictating), expected))
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), table.len());
}

#[test]
fn a_russian_number_with_too_few_digits_goes_on() {
    check(
        Ru,
        false,
        &[
            ("восемь девятьсот шестнадцать", Some(Number)),
            ("Восемь, девятьсот шестнадцать, сто двадцать три.", Some(Number)),
            ("Мой номер 8 916 123", Some(Number)),
            ("Плюс семь девятьсот", Some(Number)),
            ("+7 916 123-45", Some(Number)),
            ("Перезвоните мне по номеру девятьсот шестнадцать", Some(Number)),
            ("Мой телефон четыреста девяносто пять сто двадцать", Some(Number)),
            ("Мой номер", Some(Number)),
            ("Запишите номер.", Some(Number)),
            ("Позвоните на номер", Some(Number)),
            ("Мой номер 8 916 123 45 67", None),
            ("восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь", None),
            ("Мой телефон 123-45-67.", None),
            ("+7 916 123-45-67.", None),
            ("Мне нужен кабинет триста пять", None),
            ("Я из квартиры сто двенадцать", None),
            ("Позвоните в квартиру 305", None),
            ("Номер заказа 4512", None),
            ("Перезвоните мне в девять", None),
            ("Позвоните завтра в десять тридцать", None),
            ("Перезвоните после пяти.", None),
            ("Сто двадцать три", None),
            ("Нас будет двое, мне восемь", None),
            ("А какой у вас номер телефона?", None),
            ("Это мой номер?", None),
        ],
    );
}

#[test]
fn a_russian_number_that_was_asked_for_goes_on_from_its_first_digit() {
    check(
        Ru,
        true,
        &[
            ("восемь", Some(Number)),
            ("Восемь, девятьсот", Some(Number)),
            ("девятьсот шестнадцать сто двадцать три", Some(Number)),
            ("Да, восемь девятьсот шестнадцать, э", Some(Number)),
            ("495 123", Some(Number)),
            ("495 123 45", Some(Number)),
            ("495 123 45 67", None),
            ("916 123 45 67", None),
            ("8 800 555 35 35", None),
            ("Сто двадцать три сорок пять шестьдесят семь", None),
            ("А зачем вам мой телефон?", None),
            ("Не скажу.", None),
        ],
    );
}

#[test]
fn an_english_number_with_too_few_digits_goes_on() {
    check(
        En,
        false,
        &[
            ("My number is two one two", Some(Number)),
            ("You can call me at two one two, five five five.", Some(Number)),
            ("My phone number is", Some(Number)),
            ("My cell is 415 555 01", Some(Number)),
            ("plus one four one five", Some(Number)),
            ("You can reach me at", Some(Number)),
            ("My number is two one two five five five oh one seven eight", None),
            ("My number is 555 0178.", None),
            ("+1 415 555 0172", None),
            ("Call me at five", None),
            ("Please call me back at ten thirty", None),
            ("I am in room three zero five", None),
            ("My order number is 4512", None),
            ("Three", None),
            ("What is your phone number?", None),
        ],
    );
    check(
        En,
        true,
        &[
            ("four one five", Some(Number)),
            ("Four one five, five five five, oh one", Some(Number)),
            ("four", Some(Number)),
            ("Four one five, five five five, zero one seven two.", None),
            ("020 7946 0018", None),
            ("I don't have one with me today, sorry.", None),
        ],
    );
}

#[test]
fn a_russian_address_without_a_house_goes_on() {
    check(
        Ru,
        false,
        &[
            ("улица Садовая, дом", Some(Address)),
            ("Улица Садовая.", Some(Address)),
            ("улица садовая", Some(Address)),
            ("Мы находимся на улице Садовой", Some(Address)),
            ("Ленинский проспект", Some(Address)),
            ("Мой адрес", Some(Address)),
            ("Доставка по адресу", Some(Address)),
            ("Адрес доставки.", Some(Address)),
            ("Я живу на Невском проспекте", Some(Address)),
            ("Садовая улица, дом пять, квартира", Some(Address)),
            ("Ул. Ленина, дом 12, корпус", Some(Address)),
            ("Привезите на шоссе Энтузиастов, дом", Some(Address)),
            ("улица Садовая, дом пять", None),
            ("Улица Садовая, 5", None),
            ("Садовая улица, дом пять, квартира двенадцать", None),
            ("Где находится улица Садовая?", None),
            ("как проехать на улицу Садовую", None),
            ("Какой у вас адрес?", None),
            ("Подскажите адрес", None),
            ("На улице холодно", None),
            ("Я стою на улице", None),
            ("Я купил дом", None),
            ("Мне нужна квартира", None),
        ],
    );
}

#[test]
fn an_english_address_without_a_number_goes_on() {
    check(
        En,
        false,
        &[
            ("My address is", Some(Address)),
            ("My address is twelve", Some(Address)),
            ("I live at 12", Some(Address)),
            ("Please deliver to", Some(Address)),
            ("Twelve Garden Street, apartment", Some(Address)),
            ("It's 12 Garden Street, suite", Some(Address)),
            ("My address is twelve Garden Street.", None),
            ("I live at 12 Garden Street, apartment 5", None),
            ("I am looking for an apartment", None),
            ("What is your address?", None),
        ],
    );
}

#[test]
fn a_name_that_is_being_spelled_goes_on() {
    check(
        Ru,
        false,
        &[
            ("по буквам: Константин, Ольга", Some(Spelling)),
            ("Моя фамилия Коваленко, по буквам", Some(Spelling)),
            ("По буквам: К, О, В", Some(Spelling)),
            ("К-О-В-А-Л", Some(Spelling)),
            ("Константин, Ольга, Виктор", Some(Spelling)),
            ("К как Константин", Some(Spelling)),
            ("Ким, по буквам: К, И, М", None),
            ("Ким, по буквам Константин, Иван, Мария", None),
            ("Можно по буквам?", None),
            ("Меня зовут Константин", None),
            ("Это Иван Павлов", None),
        ],
    );
    check(
        En,
        false,
        &[
            ("K as in king", Some(Spelling)),
            ("K as in king, O as in Oscar", Some(Spelling)),
            ("It's spelled K, O", Some(Spelling)),
            ("S M I", Some(Spelling)),
            ("That's S-M-I", Some(Spelling)),
            ("K for king", Some(Spelling)),
            ("Let me spell it", Some(Spelling)),
            ("Smith, S-M-I-T-H", None),
            ("My name is Smith, spelled S, M, I, T, H", None),
            ("Can you spell that?", None),
            ("My name is Victor", None),
            ("I am looking for a room", None),
        ],
    );
}

#[test]
fn a_russian_sentence_that_wants_another_word_goes_on() {
    check(
        Ru,
        false,
        &[
            ("Я хотел бы записаться на", Some(Conjunction)),
            ("Мне нужно во вторник или.", Some(Conjunction)),
            ("Я не приду, потому что", Some(Conjunction)),
            ("Я звоню, чтобы", Some(Conjunction)),
            ("Здравствуйте, я", Some(Conjunction)),
            ("Передайте ему, что", Some(Conjunction)),
            ("Здравствуйте, меня зовут", Some(Conjunction)),
            ("Я хотела бы", Some(Conjunction)),
            ("Я хотел.", Some(Conjunction)),
            ("Я хотел узнать.", Some(Conjunction)),
            ("Анна и", Some(Conjunction)),
            ("Я приеду в", Some(Conjunction)),
            ("Я звоню по поводу", Some(Conjunction)),
            ("Дело в том", Some(Conjunction)),
            ("Дело в том, что", Some(Conjunction)),
            ("Мы договаривались на среду, но", Some(Conjunction)),
            ("Приеду, если", Some(Conjunction)),
            ("Я не", Some(Conjunction)),
            ("Это тот врач, который", Some(Conjunction)),
            ("Здравствуйте, подскажите, пожалуйста", Some(Conjunction)),
            ("Скажите, пожалуйста.", Some(Conjunction)),
            ("Добрый день, у меня такой вопрос", Some(Conjunction)),
            ("Я пойду вместо", Some(Conjunction)),
            ("Сегодня не смогу, а", Some(Conjunction)),
            ("Здравствуйте.", None),
            ("А что?", None),
            ("Что?", None),
            ("А?", None),
            ("О", None),
            ("Ну и что", None),
            ("Вы работаете или?", None),
            ("Всё, пока.", None),
            ("Хорошо бы", None),
            ("Где вы находитесь, подскажите, пожалуйста", None),
            ("Сколько это стоит?", None),
            ("Я хотел бы записаться на вторник.", None),
            ("Передайте, что я заболела.", None),
            ("Лишь одна ночь отделяла его от земли, от мучительных теней.", None),
            ("Это странно, но я уж как-то привыкла к вам.", None),
            ("Нет, спасибо, до свидания.", None),
            ("Да, всё верно.", None),
            ("Спасибо, я понял.", None),
            ("Соедините меня с директором", None),
            ("Во сколько вы закрываетесь", None),
            ("", None),
        ],
    );
}

#[test]
fn an_english_sentence_that_wants_another_word_goes_on() {
    check(
        En,
        false,
        &[
            ("I would like to make an appointment for", Some(Conjunction)),
            ("I can't come because", Some(Conjunction)),
            ("I want to talk to the", Some(Conjunction)),
            ("I want to", Some(Conjunction)),
            ("I'd like to.", Some(Conjunction)),
            ("On Tuesday or", Some(Conjunction)),
            ("Hello, my name is", Some(Conjunction)),
            ("I am calling about", Some(Conjunction)),
            ("I was on the phone with", Some(Conjunction)),
            ("Please tell him", Some(Conjunction)),
            ("Please tell him that I'm", Some(Conjunction)),
            ("The problem is that", Some(Conjunction)),
            ("I called yesterday and", Some(Conjunction)),
            ("I spoke to your", Some(Conjunction)),
            ("I will be there on", Some(Conjunction)),
            ("I'd like", Some(Conjunction)),
            ("I was wondering", Some(Conjunction)),
            ("We agreed on Monday, but", Some(Conjunction)),
            ("I think so.", None),
            ("What is it about?", None),
            ("Who should I talk to", None),
            ("I don't want to.", None),
            ("That's where I'm from", None),
            ("Please hold on", Some(Hesitation)),
            ("Can I come in", None),
            ("Yes, it is.", None),
            ("I know that.", None),
            ("I would like to make an appointment for Tuesday.", None),
            ("It was the best of times, it was the worst of times.", None),
            ("He was not an ill disposed young man", None),
            ("Go forward ten meters", None),
            ("Yes, that is right.", None),
            ("Please tell the doctor that I will be late tomorrow.", None),
            ("How much is it?", None),
            ("Goodbye.", None),
            ("", None),
        ],
    );
}

#[test]
fn whoever_thinks_aloud_goes_on() {
    check(
        Ru,
        false,
        &[
            ("Я хотел, э-э", Some(Hesitation)),
            ("Э-э", Some(Hesitation)),
            ("Эээ...", Some(Hesitation)),
            ("Ну", Some(Hesitation)),
            ("Ну...", Some(Hesitation)),
            ("Мне нужно на вторник, ммм", Some(Hesitation)),
            ("Завтра, ну", Some(Hesitation)),
            ("Секундочку.", Some(Hesitation)),
            ("Подождите минуту", Some(Hesitation)),
            ("Да, сейчас", Some(Hesitation)),
            ("Сейчас посмотрю", Some(Hesitation)),
            ("Это, как сказать", Some(Hesitation)),
            ("Там как бы", Some(Hesitation)),
            ("Мм", None),
            ("Угу.", None),
            ("Хм.", None),
            ("Вы работаете сейчас?", None),
            ("Можно приехать прямо сейчас", None),
            ("Ну хорошо.", None),
        ],
    );
    check(
        En,
        false,
        &[
            ("Um", Some(Hesitation)),
            ("I need, uh", Some(Hesitation)),
            ("Well...", Some(Hesitation)),
            ("Let me see.", Some(Hesitation)),
            ("Hold on, let me check", Some(Hesitation)),
            ("It's, you know", Some(Hesitation)),
            ("Tuesday, hmm", Some(Hesitation)),
            ("Mm-hmm.", None),
            ("Uh-huh", None),
            ("Well, that's all.", None),
            ("Do you know?", None),
        ],
    );
}
