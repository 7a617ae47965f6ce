# ruff: noqa: RUF001 - other languages, other letters
"""The texts a contact reads: complete in every language, and in the right one."""

import pytest

from chatwoot_bot.language import language_of, languages

# What contacts write, by the language they write in.
TEXTS = {
    "en": [
        "Hello, where is my order? I still have not received it.",
        "My parcel never arrived, can you help?",
        "Where's my refund?",
        "Can I change the delivery address?",
        "What are your opening hours",
        "how much does it cost to ship to Norway",
        "it's broken",
    ],
    "de": [
        "Guten Tag, wo bleibt meine Bestellung? Sie ist noch nicht da.",
        "Das Paket ist leider beschädigt angekommen",
        "Wo ist mein Paket?",
        "Kann ich die Lieferadresse noch ändern?",
        "Wie sind eure Öffnungszeiten",
        "Was kostet der Versand nach Norwegen",
        "ich möchte mein Geld zurück",
    ],
    "fr": [
        "Bonjour, où en est ma commande ? Je ne l'ai pas reçue.",
        "Le colis est arrivé cassé, que faire ?",
        "Merci beaucoup",
        "Puis-je changer l'adresse de livraison ?",
        "Quels sont vos horaires",
        "combien coûte l'envoi",
        "je veux être remboursé",
    ],
    "es": [
        "Hola, ¿dónde está mi pedido? Todavía no ha llegado.",
        "El paquete llegó roto, ¿qué hago?",
        "Hola",
        "¿Puedo cambiar la dirección de entrega?",
        "cual es el horario",
        "cuanto cuesta el envio a Noruega",
        "quiero mi dinero de vuelta",
    ],
    "pt": [
        "Olá, onde está a minha encomenda? Ainda não a recebi.",
        "O pacote chegou quebrado, o que eu faço?",
        "Bom dia, obrigado",
        "Posso mudar o endereço de entrega?",
        "qual é o horário de vocês",
        "quanto custa o frete",
        "quero meu dinheiro de volta",
    ],
    "it": [
        "Buongiorno, dov'è il mio ordine? Non è ancora arrivato.",
        "Il pacco è arrivato rotto, cosa devo fare?",
        "Ciao, grazie",
        "Posso cambiare l'indirizzo di consegna?",
        "che orari fate",
        "quanto costa la spedizione",
        "vorrei un rimborso",
    ],
    "nl": [
        "Goedendag, waar blijft mijn bestelling? Die is er nog niet.",
        "Het pakket is kapot aangekomen, wat nu?",
        "Waar is mijn pakket?",
        "Kan ik het afleveradres wijzigen?",
        "wat zijn jullie openingstijden",
        "hoeveel kost verzending",
        "ik wil mijn geld terug",
    ],
    "pl": [
        "Dzień dobry, gdzie jest moje zamówienie? Jeszcze nie dotarło.",
        "Paczka przyszła uszkodzona, co mam zrobić?",
        "Gdzie jest paczka?",
        "Czy mogę zmienić adres dostawy?",
        "jakie są godziny otwarcia",
        "ile kosztuje wysyłka",
        "chcę zwrot pieniędzy",
    ],
    "tr": [
        "Merhaba, siparişim nerede? Henüz gelmedi.",
        "Paket kırık geldi, ne yapmam gerekiyor?",
        "İade istiyorum lütfen",
        "Teslimat adresini değiştirebilir miyim?",
        "çalışma saatleriniz nedir",
        "kargo ücreti ne kadar",
        "paramı geri istiyorum",
    ],
    "ru": [
        "Здравствуйте, где мой заказ? Я его ещё не получил.",
        "Посылка пришла повреждённой, что мне делать?",
        "Где заказ?",
        "Можно ли изменить адрес доставки?",
        "какой у вас график работы",
        "сколько стоит доставка",
        "хочу вернуть деньги",
    ],
    "ar": [
        "مرحبا، أين طلبي؟ لم يصل حتى الآن.",
        "وصل الطرد مكسورا، ماذا أفعل؟",
        "أين طلبي",
        "هل يمكنني تغيير عنوان التوصيل؟",
        "ما هي ساعات العمل",
        "كم تكلفة الشحن",
        "أريد استرداد أموالي",
    ],
    "zh": [
        "您好，我的订单在哪里？我还没有收到。",
        "包裹到的时候已经坏了，怎么办？",
        "退货",
        "可以改收货地址吗？",
        "你们几点开门",
        "运费多少钱",
    ],
    "zh-TW": [
        "您好，請問我的訂單在哪裡？我還沒有收到。",
        "包裹到的時候已經壞了，該怎麼辦？",
        "可以改收貨地址嗎？",
        "運費多少錢",
    ],
    "uk": [
        "Добрий день! Де моє замовлення? Я чекаю тиждень, мені ніхто не відповідає.",
        "Посилка прийшла пошкодженою, що робити?",
        "Чи можна змінити адресу доставки?",
        "скільки коштує доставка",
        "хочу повернути гроші",
    ],
    "bg": [
        "Здравейте, къде е поръчката ми? Не мога да я видя в профила си.",
        "Пратката пристигна счупена, какво да правя?",
        "Мога ли да сменя адреса за доставка?",
        "колко струва доставката",
        "искам си парите обратно",
    ],
    "sr": [
        "Добар дан, где је моја поруџбина? Још увек нисам добио пакет.",
        "Dobar dan, gde je moja porudžbina? Još uvek nisam dobio paket.",
        "Могу ли да променим адресу за испоруку?",
        "колико кошта достава",
        "Mogu li da promenim adresu za isporuku?",
    ],
    "mk": [
        "Здраво, каде е мојата нарачка? Сè уште не сум ја добил.",
        "Пакетот пристигна скршен, што да правам?",
        "Може ли да ја сменам адресата за достава?",
        "колку чини достава",
    ],
    "be": [
        "Добры дзень, дзе мой заказ? Я яго яшчэ не атрымаў.",
        "Пасылка прыйшла пашкоджаная, што рабіць?",
        "Ці можна змяніць адрас дастаўкі?",
        "колькі каштуе дастаўка",
    ],
    "kk": [
        "Сәлеметсіз бе, менің тапсырысым қайда? Мен оны әлі алған жоқпын.",
        "Пакет сынған күйде келді, не істеймін?",
        "Жеткізу мекенжайын өзгертуге бола ма?",
    ],
    "fa": [
        "سلام، سفارش من کجاست؟ من هنوز آن را دریافت نکرده\u200cام.",
        "بسته شکسته رسید، چه کار کنم؟",
        "آیا می\u200cتوانم آدرس تحویل را تغییر دهم؟",
        "هزینه ارسال چقدر است",
    ],
    "ur": [
        "السلام علیکم، میرا آرڈر کہاں ہے؟ مجھے ابھی تک نہیں ملا۔",
        "پارسل ٹوٹا ہوا پہنچا، میں کیا کروں؟",
        "کیا میں ڈیلیوری کا پتہ بدل سکتا ہوں؟",
    ],
    "da": [
        "Hej, hvor er min ordre? Jeg kan ikke se den på min konto, den er ikke kommet.",
        "Pakken er gået i stykker, hvad skal jeg gøre?",
        "Kan jeg ændre leveringsadressen?",
        "hvad koster fragten",
        "jeg vil have mine penge tilbage",
    ],
    "nb": [
        "Hei, hvor er bestillingen min? Jeg har ikke fått den ennå.",
        "Pakken kom ødelagt frem, hva skal jeg gjøre?",
        "Kan jeg endre leveringsadressen?",
        "hva koster frakten",
        "jeg vil ha pengene tilbake",
    ],
    "sv": [
        "Hej, var är min beställning? Jag har inte fått den ännu.",
        "Paketet kom fram trasigt, vad ska jag göra?",
        "Kan jag ändra leveransadressen?",
        "vad kostar frakten",
        "jag vill ha pengarna tillbaka",
    ],
    "is": [
        "Halló, hvar er pöntunin mín? Ég hef ekki fengið hana ennþá.",
        "Pakkinn kom brotinn, hvað á ég að gera?",
        "Get ég breytt heimilisfanginu?",
        "hvað kostar sendingin",
    ],
    "af": [
        "Goeie dag, waar is my bestelling? Ek het dit nog nie ontvang nie.",
        "Die pakkie het stukkend aangekom, wat moet ek doen?",
        "Kan ek die afleweringsadres verander?",
        "hoeveel kos aflewering",
        "ek wil my geld terug hê",
    ],
    "cs": [
        "Dobrý den, kde je moje objednávka? Nevidím ji na účtu.",
        "Balík přišel poškozený, co mám dělat?",
        "Mohu změnit doručovací adresu?",
        "kolik stojí doprava",
        "chci vrátit peníze",
    ],
    "sk": [
        "Dobrý deň, kde je moja objednávka? Ešte som ju nedostal.",
        "Balík prišiel poškodený, čo mám robiť?",
        "Môžem zmeniť adresu doručenia?",
        "koľko stojí doprava",
    ],
    "hr": [
        "Dobar dan, gdje je moja narudžba? Još je nisam primio.",
        "Paket je stigao oštećen, što da radim?",
        "Mogu li promijeniti adresu dostave?",
        "koliko košta dostava",
        "želim povrat novca",
    ],
    "sl": [
        "Pozdravljeni, kje je moje naročilo? Še vedno ga nisem prejel.",
        "Paket je prispel poškodovan, kaj naj naredim?",
        "Ali lahko spremenim naslov za dostavo?",
        "koliko stane dostava",
    ],
    "ca": [
        "Bon dia, on és la meva comanda? Encara no l'he rebuda.",
        "El paquet ha arribat trencat, què he de fer?",
        "Puc canviar l'adreça d'entrega?",
        "quant costa l'enviament",
        "vull que em torneu els diners",
    ],
    "gl": [
        "Ola, onde está o meu pedido? Aínda non chegou e non recibín resposta.",
        "O paquete chegou roto, que teño que facer?",
        "Podo cambiar o enderezo de entrega?",
        "canto custa o envío",
        "quero que me devolvades o diñeiro",
    ],
    "ro": [
        "Bună ziua, unde este comanda mea? Nu am primit-o încă.",
        "Coletul a ajuns deteriorat, ce trebuie să fac?",
        "Pot schimba adresa de livrare?",
        "cât costă transportul",
        "vreau banii înapoi",
    ],
    "az": [
        "Salam, mənim sifarişim haradadır? Hələ də gəlməyib.",
        "Bağlama sınıq gəldi, nə etməliyəm?",
        "Çatdırılma ünvanını dəyişə bilərəm?",
        "çatdırılma neçəyədir",
        "pulumu geri istəyirəm",
    ],
    "fi": [
        "Hei, missä tilaukseni on? En ole vielä saanut sitä.",
        "Paketti tuli rikki, mitä teen?",
        "Voinko muuttaa toimitusosoitetta?",
        "mitä toimitus maksaa",
    ],
    "hu": [
        "Jó napot, hol van a rendelésem? Még nem kaptam meg.",
        "A csomag sérülten érkezett, mit tegyek?",
        "Megváltoztathatom a szállítási címet?",
        "mennyibe kerül a szállítás",
    ],
    "id": [
        "Halo, di mana pesanan saya? Saya belum menerimanya.",
        "Paketnya rusak, apa yang harus saya lakukan?",
        "Bisakah saya mengubah alamat pengiriman?",
        "berapa ongkos kirimnya",
    ],
    "vi": [
        "Xin chào, đơn hàng của tôi ở đâu? Tôi vẫn chưa nhận được.",
        "Gói hàng bị hỏng, tôi phải làm gì?",
        "Tôi có thể thay đổi địa chỉ giao hàng không?",
        "phí vận chuyển bao nhiêu",
    ],
    "sw": [
        "Habari, agizo langu liko wapi? Bado sijalipata.",
        "Kifurushi kimefika kimevunjika, nifanye nini?",
    ],
    "el": [
        "Γεια σας, πού είναι η παραγγελία μου; Δεν την έχω λάβει.",
        "Το δέμα ήρθε σπασμένο",
    ],
    "he": [
        "שלום, איפה ההזמנה שלי? עדיין לא קיבלתי אותה.",
        "החבילה הגיעה שבורה",
    ],
    "hi": [
        "नमस्ते, मेरा ऑर्डर कहाँ है? मुझे अभी तक नहीं मिला।",
        "पैकेज टूटा हुआ आया",
    ],
    "th": [
        "สวัสดีค่ะ คำสั่งซื้อของฉันอยู่ที่ไหน ยังไม่ได้รับเลย",
        "พัสดุ iPhone case เสียหาย",
    ],
    "ja": [
        "こんにちは、私の注文はどこですか？まだ届いていません。",
        "商品が壊れて届きました。",
    ],
    "ko": [
        "안녕하세요, 제 주문은 어디에 있나요? 아직 받지 못했습니다.",
        "택배가 파손되어 왔어요",
    ],
    "ka": [
        "გამარჯობა, სად არის ჩემი შეკვეთა?",
        "ამანათი დაზიანდა",
    ],
    "et": [
        "Kas ma saan tarneaadressi muuta?",
        "palju saatmine maksab",
    ],
    "lt": [
        "Ar galiu pakeisti pristatymo adresą?",
        "kiek kainuoja pristatymas",
    ],
    "lv": [
        "Vai es varu mainīt piegādes adresi?",
        "cik maksā piegāde",
    ],
    "sq": [
        "A mund ta ndryshoj adresën e dorëzimit?",
    ],
    "eu": [
        "Helbidea alda dezaket?",
    ],
    "tl": [
        "Maaari ko bang palitan ang address ng delivery?",
        "magkano ang shipping",
    ],
    "ms": [
        "Bolehkah saya tukar alamat penghantaran?",
    ],
    "uz": [
        "Yetkazib berish manzilini o'zgartira olamanmi?",
    ],
    "lb": [
        "Kann ech d'Liwweradress nach änneren?",
    ],
    "cy": [
        "A allaf i newid y cyfeiriad?",
    ],
    "ga": [
        "An féidir liom an seoladh a athrú?",
    ],
    "eo": [
        "Ĉu mi povas ŝanĝi la adreson?",
    ],
    "ku": [
        "Ez dikarim navnîşanê biguherînim?",
    ],
    "hinglish": [
        "mera order kahan hai bhai abhi tak nahi mila",
    ],
}


# The same, as it is typed on a keyboard without the language's marks.
BARE = {
    "ro": [
        "Nu pot intra in cont",
        "Buna ziua, as vrea sa schimb adresa",
        "nu merge plata",
    ],
    "cs": ["dekuji za pomoc", "Dobry den, kde je moje objednavka"],
    "hr": ["gdje je moja narudzba"],
    "hu": ["Jo napot, hol van a rendelesem"],
    "pl": ["prosze o pomoc", "gdzie jest moja paczka, jeszcze nie doszla"],
    "tr": ["tesekkur ederim", "siparisim nerede hala gelmedi"],
    "pt": ["nao recebi a minha encomenda"],
    "fr": ["ou est ma commande"],
}


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in TEXTS.items() for text in texts]
)
def test_contact_reads_their_own_language_or_the_default_but_no_neighbours(code, text):
    """A Ukrainian who is answered in Russian is worse off than with English."""
    default = "it" if code != "it" else "en"
    others = [each for each in languages() if each != default]
    found = language_of([text], among=[default, *others])

    if code == "zh-TW":
        assert found is languages()["zh"].traditional
    else:
        assert found is languages()[code if code in languages() else default]


@pytest.mark.parametrize(
    ("code", "text"), [(code, text) for code, texts in BARE.items() for text in texts]
)
def test_text_without_its_marks_is_no_neighbours(code, text):
    """Romanian typed so has Dutch and French words in it."""
    found = language_of([text], among=["it", *languages()])

    assert found.code == (code if code in languages() else "it")


def test_bot_without_a_language_answers_in_its_first_one():
    for code in ("zh", "nl", "uk"):
        for text in TEXTS[code]:
            assert language_of([text], among=["de", "en"]).code == "de"


def test_only_the_end_of_a_long_text_counts():
    text = "Where is my order? " * 500 + "Wo ist meine Bestellung? " * 90

    assert language_of([text]).code == "de"


def test_forty_languages_are_known_by_a_text():
    assert len(TEXTS) >= 40
    assert set(languages()) <= set(TEXTS)


@pytest.mark.parametrize(
    ("contact", "bot", "code"),
    [
        ("ok", "Ich habe die Bestellung gefunden.", "de"),
        ("Wo ist meine Bestellung?", "Où est la commande ?", "de"),
        ("#4711", "", "en"),
    ],
)
def test_where_the_contacts_words_do_not_tell_the_next_ones_do(contact, bot, code):
    assert language_of([contact], [bot]).code == code


@pytest.mark.parametrize("language", languages().values(), ids=languages())
def test_language_is_complete(language):
    """A text that is missing would show up at the worst moment."""
    assert language.handover and language.apology and language.nobody_online
    assert language.no_model
    assert "{opening}" in language.out_of_hours
    assert len(language.weekdays) == 7
    assert len(language.words) >= 15
    assert all(word == word.casefold() for word in language.words)
    assert len(language.wish.keywords) >= 3
    assert language.wish.alone and language.wish.polite
