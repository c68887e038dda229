"""300 sentences of a receptionist, as a voice gets them: words and marks."""

RU_BEGINNINGS = [
    "Здравствуйте, вы позвонили в компанию Ромашка,", "Минуту, пожалуйста,", "Конечно,", "К сожалению,", "Да, всё верно,",
    "Подскажите, пожалуйста,", "Я записала,", "Спасибо, что дождались,", "Если хотите,", "Простите, я не расслышала,",
]
RU_ENDINGS = [
    "чем я могу вам помочь?", "мы работаем с девяти часов до восемнадцати тридцати.", "соединяю вас с бухгалтерией!",
    "директор сейчас занят: перезвоните после обеда.", "ваш номер восемь, девятьсот шестнадцать, сто двадцать три?",
    "доставка стоит триста пятьдесят рублей.", "приём начнётся в четверг, двадцать шестого ноября.",
    "офис находится на улице Ленина, дом пять, третий этаж.", "назовите вашу фамилию по буквам.",
    "счёт придёт на электронную почту.", "что передать Елене Сергеевне?", "повторите ещё раз, как вас зовут?",
    "мастер приедет через сорок минут.", "это будет готово не раньше понедельника.", "запишите добавочный: двенадцать.",
    "ёлку и подъезд мы украсим сами.", "кто-нибудь вам обязательно перезвонит.", "договор подпишет Пётр Ильич Щукин.",
    "вход со двора, вывеска жёлтая.", "до свидания, хорошего вечера!",
]
EN_BEGINNINGS = ["Good morning,", "One moment, please,", "I am sorry,", "Of course,", "Thank you for calling,"]
EN_ENDINGS = [
    "how can I help you?", "we're open from nine o'clock to six thirty.", "the manager is out until Thursday.",
    "would you like to leave a message?", "your number is four one five, five five five, zero one seven two?",
    "that will be twenty five dollars.", "please spell your last name for me.", "I'll put you through to the sales team!",
    "our office is on Baker Street, third floor.", "somebody will call you back within the hour.",
    "the parcel arrives on the twenty sixth of November.", "could you say that again?", "parking is behind the building.",
    "the doctor's next free hour is at noon.", "your order is ready.", "let me check the calendar.",
    "the line is quite bad today.", "she doesn't work on weekends.", "is there anything else?", "goodbye, and have a nice day!",
]


def all_of_them():
    """200 Russian ones, then 100 English ones, each with its language."""
    russian = [("ru", f"{begin} {end}") for begin in RU_BEGINNINGS for end in RU_ENDINGS]
    english = [("en", f"{begin} {end}") for begin in EN_BEGINNINGS for end in EN_ENDINGS]
    return russian + english
