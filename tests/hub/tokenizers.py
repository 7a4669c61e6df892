"""Tokenizer repositories of every class that the registry needs, trained here on a few lines in many scripts."""

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import ByteLevelBPETokenizer, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as Pieces

# One or two lines a script: Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Bengali, Tamil, Thai, Georgian,
# Armenian, Ethiopic, Han (simplified, traditional), Kana, Hangul.
CORPUS = (
    "a photo of a cat sitting on a red chair near the window, and two dogs running on the beach at sunset",
    "The quarterly report shows revenue grew by 12.5% (vs. 9.8%), don't you think it's great? naïve café über Straße",
    "старый маяк стоит на скале, а рядом бежит рыжая собака и спит серая кошка",
    "μια γάτα κάθεται σε μια κόκκινη καρέκλα δίπλα στη θάλασσα",
    "صورة لجمل في الصحراء عند الغروب مع قطة صغيرة وكلب كبير",
    "חתול יושב על כיסא אדום ליד החלון והכלב רץ על החוף",
    "एक बिल्ली लाल कुर्सी पर बैठी है और कुत्ता समुद्र तट पर दौड़ रहा है",
    "একটি বিড়াল লাল চেয়ারে বসে আছে এবং কুকুর দৌড়াচ্ছে",
    "ஒரு பூனை சிவப்பு நாற்காலியில் அமர்ந்திருக்கிறது",
    "แมวนั่งอยู่บนเก้าอี้สีแดงข้างหน้าต่างและสุนัขวิ่งบนชายหาด",
    "კატა ზის წითელ სკამზე ფანჯარასთან და ძაღლი დარბის",
    "կատուն նստած է կարմիր աթոռին պատուհանի մոտ",
    "ድመት በቀይ ወንበር ላይ ተቀምጣለች",
    "一只猫坐在窗台上看雨，两只狗在海边奔跑，红色的椅子",
    "一隻貓坐在窗臺上看雨，紅色的椅子和藍色的門",
    "夜の東京、ネオンサインと雨の中を歩く猫、赤いいすと青いドア",
    "한강 다리 위의 자전거와 빨간 의자에 앉은 고양이",
)
VOCABULARY = 900
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


def byte_bpe(folder: Path) -> Path:
    """Roberta's class: BPE of bytes, as vocab.json, merges.txt and tokenizer.json."""
    trained = ByteLevelBPETokenizer()
    tokens = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(CORPUS, vocab_size=VOCABULARY, min_frequency=1, special_tokens=tokens)
    trained.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    _mkdir(folder)
    trained.save_model(str(folder))
    trained.save(str(folder / "tokenizer.json"))
    special = {**SPECIAL, "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return _configured(folder, "RobertaTokenizer", **special)


def word_pieces(folder: Path, only_vocabulary: bool = False) -> Path:
    """BERT's class: vocab.txt, with or without the tokenizer.json beside it (BiomedBERT's repository has none)."""
    pieces = Pieces(models.WordPiece(unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=[*special.values(), "[MASK]"])
    pieces.train_from_iterator(CORPUS, trainer)
    pieces.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    _mkdir(folder)
    vocabulary = sorted(pieces.get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.txt").write_text("\n".join(word for word, _ in vocabulary) + "\n", encoding="utf-8")
    if not only_vocabulary:
        pieces.save(str(folder / "tokenizer.json"))
    return _configured(folder, "BertTokenizer", do_lower_case=True, **special, mask_token="[MASK]")


def t5(folder: Path) -> Path:
    """T5's class, as google/mt5-base keeps it: a sentencepiece model (Unigram) and no tokenizer.json."""
    ids = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1, "pad_piece": "<pad>"}
    _sentencepiece(folder, "spiece.model", "unigram", byte_fallback=True, **ids)
    special = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return _configured(folder, "T5Tokenizer", extra_ids=0, **special)


def xlm_roberta(folder: Path) -> Path:
    """XLM-R's class: a sentencepiece model whose ids transformers shifts by one for its own special tokens."""
    _sentencepiece(folder, "sentencepiece.bpe.model", "unigram", unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    special = {**SPECIAL, "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return _configured(folder, "XLMRobertaTokenizer", **special)


def nllb(folder: Path) -> Path:
    """NLLB's class: XLM-R's, between a language's code and the end."""
    _sentencepiece(folder, "sentencepiece.bpe.model", "unigram", unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    special = {**SPECIAL, "cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    return _configured(folder, "NllbTokenizer", src_lang="eng_Latn", **special)


def gemma(folder: Path) -> Path:
    """Gemma's class, SigLIP 2's: BPE of sentencepiece with single bytes to fall back on; lower case, no start."""
    ids = {"pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3, "pad_piece": "<pad>"}
    pieces = {"bos_piece": "<bos>", "eos_piece": "<eos>"}
    _sentencepiece(
        folder, "tokenizer.model", "bpe", byte_fallback=True, remove_extra_whitespaces=False, **ids, **pieces
    )
    special = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return _configured(
        folder, "GemmaTokenizer", add_bos_token=False, add_eos_token=True, padding_side="right", **special
    )


CLASSES = {
    "byte BPE (roberta)": byte_bpe,
    "WordPiece (bert)": word_pieces,
    "WordPiece, vocab.txt alone": lambda folder: word_pieces(folder, only_vocabulary=True),
    "Unigram (t5)": t5,
    "Unigram (xlm-roberta)": xlm_roberta,
    "Unigram (nllb)": nllb,
    "sentencepiece BPE (gemma)": gemma,
}


def _sentencepiece(folder: Path, name: str, kind: str, **options: Any) -> None:
    _mkdir(folder)
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 3),
        model_writer=written,
        model_type=kind,
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        character_coverage=1.0,
        minloglevel=2,
        **options,
    )
    (folder / name).write_bytes(written.getvalue())


def _configured(folder: Path, kind: str, **settings: object) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, **settings}))
    special = {name: value for name, value in settings.items() if name.endswith("_token") and isinstance(value, str)}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    return folder


def _mkdir(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
