"""What kind of source a spectrum is of: type, redshift and age with their probabilities and errors."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, Meta, TextArray, card, column, meta

__all__ = ["SpectralType"]


@dataclass(frozen=True)
class SpectralType:
    """Type of a transient from its spectrum. The cards ``SNID...`` are those that users of that program read.

    Parameters
    ----------
    type, subtype : str
        Of the most probable type, as `kind` and `kind_type` name them.
    probability : float
        Of ``type``.
    z, z_error : float
    age, age_error : float, day
        From maximum light, in the rest frame; NaN where templates of the type have none.
    redshift_given : float
        What the redshift was held to; NaN when it was not known.
    host_share : float
        Share of a host galaxy in the features of the best fit.
    snid_type, snid_subtype : str
        Subtype as that program parts it: "Ia" and "norm", "IIP" and "-".
    snid_rlap : float
        Height of the correlation with the best template over its noise, times the overlap in log wavelength.
    snid_z_match, snid_age_match, snid_template
        Of the best template.
    snid_z_median, snid_z_error, snid_age_median, snid_age_error : float
        Of the best templates of the type.
    snid_ia, snid_ib, snid_ic, snid_ii, snid_not : float
        Probabilities of the types, and of all that is none of them.
    label, label_probability : array (4,)
        Classes "Ia", "Ibc", "II" and "other", calibrated.
    kind, kind_type : str array (k,)
        Subtypes told apart, and the type of each.
    kind_probability : array (k,)
    match_name, match_type, match_subtype : str array (n,)
        Best templates, one of an object, best first.
    match_age, match_z, match_rlap, match_correlation, match_amplitude, match_host : array (n,)
        The last three of the fit with a host galaxy.
    redshift, redshift_probability : array (m,)
        Probability a step of the grid.
    wave, value, error, model : array (w,)
        The spectrum over its continuum less 1, its error, and the best fit to it.
    """

    type: str = card("CLSTYPE", text="most probable type")
    subtype: str = card("CLSSUBT", text="most probable subtype of it")
    probability: float = card("CLSPROB", text="probability of the type")
    z: float = card("CLSZ", text="redshift")
    z_error: float = card("CLSZERR", text="error of it")
    age: float = card("CLSAGE", unit="d", text="from maximum light")
    age_error: float = card("CLSAGERR", unit="d", text="error of it")
    redshift_given: float = card("CLSZKNWN", text="redshift given beforehand")
    host_share: float = card("CLSHOST", text="share of a host in the features")
    snid_type: str = card("SNIDTYPE", text="type")
    snid_subtype: str = card("SNIDSUBT", text="subtype")
    snid_rlap: float = card("SNIDRLAP", text="r times overlap of the best template")
    snid_z_match: float = card("SNIDZMAT", text="redshift of the best template")
    snid_age_match: float = card("SNIDAMAT", unit="d", text="age of the best template")
    snid_template: str = card("SNIDTEMP", text="best template")
    snid_z_median: float = card("SNIDZMED", text="redshift")
    snid_z_error: float = card("SNIDZERR", text="error of it")
    snid_age_median: float = card("SNIDAMED", unit="d", text="age")
    snid_age_error: float = card("SNIDAERR", unit="d", text="error of it")
    snid_ia: float = card("SNIDFIA", text="probability of type Ia")
    snid_ib: float = card("SNIDFIB", text="probability of type Ib")
    snid_ic: float = card("SNIDFIC", text="probability of type Ic")
    snid_ii: float = card("SNIDFII", text="probability of type II, IIb among them")
    snid_not: float = card("SNIDFNOT", text="probability of none of these")
    label: TextArray = column("CLASSES", "class")
    label_probability: FloatArray = column("CLASSES", "probability")
    kind: TextArray = column("KINDS", "subtype")
    kind_type: TextArray = column("KINDS", "type")
    kind_probability: FloatArray = column("KINDS", "probability")
    match_name: TextArray = column("MATCHES", "template")
    match_type: TextArray = column("MATCHES", "type")
    match_subtype: TextArray = column("MATCHES", "subtype")
    match_age: FloatArray = column("MATCHES", "age", unit="d")
    match_z: FloatArray = column("MATCHES", "z")
    match_rlap: FloatArray = column("MATCHES", "rlap")
    match_correlation: FloatArray = column("MATCHES", "correlation")
    match_amplitude: FloatArray = column("MATCHES", "amplitude")
    match_host: FloatArray = column("MATCHES", "host")
    redshift: FloatArray = column("REDSHIFTS", "z")
    redshift_probability: FloatArray = column("REDSHIFTS", "probability")
    wave: FloatArray = column("FLATTENED", "WAVE", unit="Angstrom")
    value: FloatArray = column("FLATTENED", "FLATTENED")
    error: FloatArray = column("FLATTENED", "ERROR")
    model: FloatArray = column("FLATTENED", "MODEL")
    meta: Meta = meta()
