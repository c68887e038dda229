"""What a receptionist says: 200 sentences in Russian and 100 in English, for tokenizer.tsv.

Some are as a person writes them, with capitals, numbers and signs, some as a normaliser leaves them, in small letters and words. Each
pattern is filled in several ways; which way is counted, not drawn, so the list is always the same.
"""

PATTERNS = {
    "ru": [
        "Здравствуйте! Вы позвонили в {company}, меня зовут Лидия.",
        "добрый день, {company} слушает",
        "{name}, подождите, пожалуйста, соединяю вас с {department}.",
        "Сейчас {time}, приём закончится в 18:30.",
        "Запись на {date}, {time}; кабинет № {number}.",
        "К сожалению, {name} сейчас на совещании — перезвоните после {time}.",
        "Ваш номер: +7 (495) 123-45-{number}, всё верно?",
        "это стоит {price}, включая доставку",
        "Скидка {number}% действует до {date}!",
        "Г-н Щёлоков и г-жа {surname} подъедут к {time}.",
        "Д-р {surname} принимает по чётным дням...",
        "я передам, что вы звонили: {name}, {word}",
        "Вы сказали «{word}»? Простите, плохо слышно.",
        "Повторите, пожалуйста, по буквам: {word}.",
        "Мы находимся по адресу: ул. Ленина, д. {number}, корп. 2, оф. 14б.",
        "пишите нам на почту info{number}@example.ru & ждите ответа",
        "Заказ #{number}0{number} готов, заберите его до {date}.",
        "За окном {number}°, дороги скользкие: мастер задержится минут на {number}.",
        "{word}-то я и записала, а кто-нибудь ({surname}?) вам обязательно перезвонит",
        "Спасибо, {name}! Хорошего вечера.",
        "нет, {name} больше здесь не работает",
        "Счёт на {price} выставлен {date}, срок оплаты — {number} дней.",
        "Вас интересует {word} или {word}?",
        "Подъезд №{number}, этаж 3-й, домофон {number}К0{number}.",
        "минуточку, я свяжусь с {department}: {word}",
        "Ой, ёлки-палки, {name}, извините: я перепутала {number}-е и {number}1-е.",
        "ТОЛЬКО СЕГОДНЯ {word} за {price}!",
        "Да-да, {name}, 1,5 часа, не больше; в крайнем случае 2.25.",
        "по-моему, {surname} просил перезвонить в {time}",
        "Оставайтесь на линии: вы {number}-й в очереди.",
        "чем ещё я могу вам помочь, {name}?",
        "Диктую: {number}, {number}7, 100, 2000, {price}.",
        "Товар «{word}» (арт. AB-{number}) есть на складе, 20$ или 18€.",
        "объясните, пожалуйста, {name}, что именно случилось",
        "Ежедневно, кроме {date}, с 9:00 до {time}.",
        "Съешьте ещё этих мягких французских булок, {name}, да выпейте чаю…",
        "я вас не расслышала. вы хотите записаться на {date}?",
        "Передаю трубку: {surname}; следующим займётся {name}.",
        "Договор от {date} подписан, экземпляр у нас, как и {word}.",
        "До свидания, {name}, мы вам позвоним.",
    ],
    "en": [
        "Good morning! This is {company}, Lydia speaking.",
        "thank you for calling {company}",
        "{name}, please hold: I'm putting you through to {department}.",
        "We close at {time} on weekdays, don't we?",
        "You're booked for {date} at {time}, room #{number}.",
        "i am afraid {name} is out until {date}",
        "Your number is (415) 555-01{number}, is that right?",
        "That will be {price}, delivery included.",
        "Mr. {surname} and Mrs. {surname} will be there at {time}.",
        "Dr. {surname} sees patients on the {number}th & the 21st.",
        "could you spell {word} for me",
        "Our address: {number} St. James Ave., 2nd floor, 10% off this week!",
        "Mail us @ info@example.com - we answer within {number} hrs.",
        'Did you say "{word}"? The line isn\'t good...',
        "{department} will call you back, {name}.",
        "is there anything else i can help you with, {name}",
        "Order {number},0{number}0.5 ships on {date}; it weighs 12.5 lb.",
        "It's {number}° outside, so the technician's late.",
        "she said: {word}, not {word}",
        "Invoice no. {number}/24 for {price} is due {date}.",
        "PLEASE STAY ON THE LINE, {name}",
        "would you like {word} or {word}, {name}",
        "Ltd. or Co., either name is fine with {department}.",
        "The quick brown fox jumps over the lazy dog, {name}.",
        "Goodbye, {name}, and thanks for calling {company}.",
    ],
}

WORDS = {
    "ru": {
        "company": ["«Ромашку»", "компанию Север", "Мир окон", "центр «Юность»", "ООО Вектор-7"],
        "name": ["Анна Петровна", "Михаил", "Игорь Львович", "Жанна", "Юлия Сергеевна", "Эльдар", "Фёдор"],
        "surname": ["Цветкова", "Хабибуллин", "Шевчук", "Ежова", "Объедков", "Яковлев"],
        "department": ["бухгалтерией", "отделом продаж", "дежурным врачом", "службой доставки"],
        "time": ["9:15", "половины шестого", "десять часов утра", "14:00", "21 час", "0:05"],
        "date": ["1 мая", "двадцать пятое декабря", "03.08.2026", "пятницу", "31 января 2027 г.", "завтра"],
        "number": ["3", "12", "45", "78", "20", "901", "6"],
        "price": ["350 рублей", "1 250 руб.", "тысячу двести рублей", "99,90 ₽", "12,000 рублей"],
        "word": ["шкаф", "подшипник", "выписка", "цоколь", "шиномонтаж", "ящик", "экскурсия", "прививка"],
    },
    "en": {
        "company": ["Northwind", "Baker & Sons", "the City Clinic", "Vector 7"],
        "name": ["Anna", "Michael", "Mr. Quigley", "Zoe", "Joseph"],
        "surname": ["Fitzgerald", "O'Hara", "Vazquez", "Wright-Jones", "Kowalski"],
        "department": ["sales", "the billing desk", "our nurse on duty", "customer service"],
        "time": ["9:15 am", "half past five", "ten o'clock", "14:00", "noon"],
        "date": ["May 1st", "the twenty-fifth of December", "08/03/2026", "Friday", "tomorrow"],
        "number": ["3", "12", "45", "78", "20", "101"],
        "price": ["$25", "$1,250.99", "nineteen dollars", "£40", "18€"],
        "word": ["wardrobe", "bearing", "statement", "tyre", "vaccine", "excursion", "jacket"],
    },
}

FILLED = {"ru": 5, "en": 4}


def fill(pattern, words, turn):
    """The pattern with a word for each brace; other turns and other braces have others."""
    parts = pattern.split("{")
    text = parts[0]
    for place, part in enumerate(parts[1:]):
        kind, rest = part.split("}")
        choices = words[kind]
        text += choices[(len(pattern) + 3 * place + turn) % len(choices)] + rest
    return text


def sentences():
    """Language and text, each once."""
    return [
        (language, fill(pattern, WORDS[language], turn))
        for language, patterns in PATTERNS.items()
        for turn in range(FILLED[language])
        for pattern in patterns
    ]
