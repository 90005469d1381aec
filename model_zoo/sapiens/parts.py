"""The 28 body-part classes of Sapiens (Goliath), and which of SCHP's 20 each becomes.

Both mean left and right from the person's own point of view. What has no class of its own goes to the nearest one:

- Apparel, which is worn things that are neither upper nor lower clothing, becomes upper-clothes;
- bare feet belong to the legs and hands to the arms, as in CIHP;
- lips, teeth and tongue belong to the face, and so does the neck, which is part of Face_Neck;
- Lower_Clothing becomes pants: a skirt cannot be told from them.
"""

from __future__ import annotations

import numpy as np

# name, class of SCHP
_TABLE = (
    ("Background", 0), ("Apparel", 5), ("Face_Neck", 13), ("Hair", 2), ("L_Foot", 16), ("L_Hand", 14),
    ("L_Lower_Arm", 14), ("L_Lower_Leg", 16), ("L_Shoe", 18), ("L_Sock", 8), ("L_Upper_Arm", 14),
    ("L_Upper_Leg", 16), ("Lower_Clothing", 9), ("R_Foot", 17), ("R_Hand", 15), ("R_Lower_Arm", 15),
    ("R_Lower_Leg", 17), ("R_Shoe", 19), ("R_Sock", 8), ("R_Upper_Arm", 15), ("R_Upper_Leg", 17), ("Torso", 10),
    ("Upper_Clothing", 5), ("Lower_Lip", 13), ("Upper_Lip", 13), ("Lower_Teeth", 13), ("Upper_Teeth", 13),
    ("Tongue", 13),
)  # fmt: skip
CLASSES = tuple(name for name, _ in _TABLE)
TO_SCHP = np.array([label for _, label in _TABLE], np.uint8)  # shape (28,)
