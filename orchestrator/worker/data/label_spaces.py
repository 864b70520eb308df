"""The label spaces around ImageNet: which classes they have, and which of them two have in common.

A class is known by its WordNet id, never by the number of a folder; its label is its place among
the sorted ids. Two lists go by the name of ImageNet-100, with 8 classes in common: the one of
Kaggle's ambityga/imagenet100, and that of contrastive multiview coding (Tian et al., ECCV 2020).
ImageNet-A and ImageNet-R (Hendrycks et al., CVPR 2021 and ICCV 2021) have 200 classes each.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.worker.data.imagenet_wnids import WNIDS


def indices_in(wnids: Sequence[str], space: Sequence[str] = WNIDS) -> tuple[int, ...]:
    """The labels that these classes have in ``space``, in the order of ``wnids``.

    Raises:
        KeyError: one of them is not in it.
    """
    label = {wnid: number for number, wnid in enumerate(space)}
    return tuple(label[wnid] for wnid in wnids)


def in_common(*spaces: Sequence[str]) -> tuple[str, ...]:
    """The classes that all of these have, sorted."""
    first, *others = map(set, spaces)
    return tuple(sorted(first.intersection(*others)))


@dataclass(frozen=True, slots=True)
class Overlap:
    """The classes S on which a model of one label space can be scored on images of another.

    The labels of S, in the same order, in the model's head, in the images' set, and in ImageNet-1k.
    """

    wnids: tuple[str, ...]
    in_head: tuple[int, ...]
    in_set: tuple[int, ...]

    @property
    def in_1k(self) -> tuple[int, ...]:
        """Only where they are classes of ImageNet-1k; else a KeyError."""
        return indices_in(self.wnids)

    @property
    def chance(self) -> float:
        """Accuracy of guessing among S."""
        return 1 / len(self.wnids)


def overlap(head: Sequence[str], images: Sequence[str]) -> Overlap:
    """What a model with the classes ``head`` and a set with the classes ``images`` share.

    Both are the classes of a dataset in the order of their labels, such as ``manifest.classes``.
    """
    shared = in_common(head, images)
    return Overlap(
        wnids=shared,
        in_head=indices_in(shared, head),
        in_set=indices_in(shared, images),
    )


def _of_1k(labels: str) -> tuple[str, ...]:
    return tuple(WNIDS[int(label)] for label in labels.split())


IMAGENET100_KAGGLE = _of_1k(
    """
0 1 2 3 4 5 6 7 8 11 14 16 18 19 20 21 22 24 26 28 29 32 33 34 35 36 38 39 41 42 46 48 50 52 54
55 56 57 59 60 61 64 65 66 67 68 70 71 72 73 74 75 76 77 78 80 81 83 84 88 89 90 91 92 93 94 96
97 99 100 104 106 107 108 110 111 112 113 115 116 117 118 119 123 124 125 127 129 130 133 134
135 137 138 140 141 143 144 146 150
    """
)

IMAGENET100_CMC = _of_1k(
    """
15 45 54 57 64 74 90 99 119 120 122 131 137 151 155 157 158 166 167 169 176 180 209 211 222 228
234 236 242 246 267 268 272 275 277 281 299 305 313 317 331 342 368 374 407 421 431 449 452 455
479 494 498 503 508 544 560 570 592 593 599 606 608 619 620 653 659 662 665 667 674 682 703 708
717 724 748 758 765 766 772 775 796 798 830 854 857 858 872 876 882 904 908 936 938 953 959 960
993 994
    """
)

IMAGENET_A = _of_1k(
    """
6 11 13 15 17 22 23 27 30 37 39 42 47 50 57 70 71 76 79 89 90 94 96 97 99 105 107 108 110 113
124 125 130 132 143 144 150 151 207 234 235 254 277 283 287 291 295 298 301 306 307 308 309 310
311 313 314 315 317 319 323 324 326 327 330 334 335 336 347 361 363 372 378 386 397 400 401 402
404 407 411 416 417 420 425 428 430 437 438 445 456 457 461 462 470 472 483 486 488 492 496 514
516 528 530 539 542 543 549 552 557 561 562 569 572 573 575 579 589 606 607 609 614 626 627 640
641 642 643 658 668 677 682 684 687 701 704 719 736 746 749 752 758 763 765 768 773 774 776 779
780 786 792 797 802 803 804 813 815 820 823 831 833 835 839 845 847 850 859 862 870 879 880 888
890 897 900 907 913 924 932 933 934 937 943 945 947 951 954 956 957 959 971 972 980 981 984 986
987 988
    """
)

IMAGENET_R = _of_1k(
    """
1 2 4 6 8 9 11 13 22 23 26 29 31 39 47 63 71 76 79 84 90 94 96 97 99 100 105 107 113 122 125 130
132 144 145 147 148 150 151 155 160 161 162 163 171 172 178 187 195 199 203 207 208 219 231 232
234 235 242 245 247 250 251 254 259 260 263 265 267 269 276 277 281 288 289 291 292 293 296 299
301 308 309 310 311 314 315 319 323 327 330 334 335 337 338 340 341 344 347 353 355 361 362 365
366 367 368 372 388 390 393 397 401 407 413 414 425 428 430 435 437 441 447 448 457 462 463 469
470 471 472 476 483 487 515 546 555 558 570 579 583 587 593 594 596 609 613 617 621 629 637 657
658 701 717 724 763 768 774 776 779 780 787 805 812 815 820 824 833 847 852 866 875 883 889 895
907 928 931 932 933 934 936 937 943 945 947 948 949 951 953 954 957 963 965 967 980 981 983 988
    """
)

LABEL_SPACES: Mapping[str, tuple[str, ...]] = {
    "imagenet1k": WNIDS,
    "imagenet100_kaggle": IMAGENET100_KAGGLE,
    "imagenet100_cmc": IMAGENET100_CMC,
    "imagenet_a": IMAGENET_A,
    "imagenet_r": IMAGENET_R,
}
"""The class lists by name; what a manifest calls its ``label_space``."""
