"""What one row is of each table that the pages make beside the canonical ones, for `run.tables`."""

from __future__ import annotations

from dealerkit.tables import TABLES

#: Begins the name of a canonical table as it was delivered.
_RAW = "raw_"
#: Begins the name of a further table of the params (`extra_factors`), made typed rows.
_EXTRA = "extra_"
#: Table → what one row is, in English and in Chinese; the canonical tables say it in `tables`.
ROWS: dict[str, tuple[str, str]] = {
    # data quality
    "authenticity": (
        "an employee and a test of whether scores or entries are made up",
        "一名员工与一项评分或录入真实性检验",
    ),
    "column_facts": ("a column of a table that was delivered", "已交付数据表的一个列"),
    "corrected": (
        "an answer that staff sent back, with what became of it",
        "员工返回的一条更正及其处理结果",
    ),
    "extra_tables": (
        "a further table of the params, with what became of its rows",
        "参数中的一张扩展数据表及其各行的去向",
    ),
    "faults": ("a value or row that failed a check", "一个未通过检查的值或行"),
    "ledger": ("a file read for a table, with where its rows went", "为某张表读取的一个文件及其各行的去向"),
    "merged": ("a row left out because another says the same", "因与另一行重复而合并的一行"),
    "personal_values": ("a personal value that no page may show", "一个不得出现在页面上的个人信息值"),
    "quarantine": ("a row kept out of the tables, with its reasons", "一条被隔离的行及其原因"),
    "results": ("a check of a table", "对一张表的一项检查"),
    "scores": ("a table and a dimension of its quality", "一张表与一个质量维度"),
    "supplied": ("a value that was filled in, with how it was found", "一个补录的值及其来源"),
    # customers
    "car_factors": ("a car in hand with its holder, as of the day of the report", "一辆在手车辆及其持有人（报告日）"),
    "car_panel": ("a car held on a day (origin), with what was known then", "某一基准日的一辆在手车辆及当时已知的信息"),
    "cars": ("a car with its holder, in hand or gone", "一辆车及其持有人（在手或已离开）"),
    "identity_diary": (
        "something that became of a person since a report before, with its reason",
        "一位客户自上次报告以来的一次变动及其原因",
    ),
    "identity_map": (
        "a customer record, delivered now or before, with its person and what lets the next report find it again",
        "一条客户记录（本次或以前交付）及其所属客户，以及供下次报告识别的标记",
    ),
    "identity_pairs": (
        "two records that may be one person, with what agrees, the probability and the verdict",
        "可能属于同一人的两条记录，及其一致项、概率与结论",
    ),
    "owner_left": ("a sign that a person no longer has a car", "某位客户不再拥有某辆车的一条证据"),
    "panel": ("a person on a day (origin), with what was known then", "某一基准日的一位客户及当时已知的信息"),
    "person_factors": ("a person with all factors, as of the day of the report", "一位客户及其全部因子（报告日）"),
    "person_records": ("a customer record of a source, with its person", "来源系统中的一条客户记录及其所属的客户"),
    "persons": (
        "a person or company, joined from the records of all sources",
        "由各来源记录合并而成的一位个人或企业客户",
    ),
    "relations": (
        "a person in relation to a car, another person or a company",
        "一位客户与一辆车、另一位客户或一家企业之间的关系",
    ),
    "tags": (
        "a tag of a person, or of a car and its holder, with the day since when where known",
        "一位客户（或一辆车及其持有人）的一个标签及其起始日（不详时为空）",
    ),
    # segments
    "class_rules": ("a class of a scheme, with its rule", "一种分类方案中的一个类别及其规则"),
    "classes": ("a person with the class in each scheme", "一位客户及其在各分类方案中的类别"),
    "cluster_evidence": ("a number of clusters that was tried", "试过的一个聚类数目"),
    "cluster_profile": ("a cluster with its means", "一个聚类及其均值"),
    "clusters": ("a person who was clustered", "一位参与聚类的客户"),
    "segments": ("a group of customers shown on the page", "页面上显示的一个客户群"),
    # what matters
    "class_differences": ("a class and a factor, or a level of it", "一个类别与一个因子（或其一个水平）"),
    "importance": (
        "a group of factors that vary together, for one of two questions",
        "一组同向变化的因子（两个问题之一）",
    ),
    "screening": ("a factor that was dropped, with its step", "一个被剔除的因子及剔除步骤"),
    # life cycle and churn
    "car_stages": ("a car with its stage, as of the day of the report", "一辆车及其所处阶段（报告日）"),
    "churn_calibration": ("a bin of the chance that a model gave", "模型给出的概率的一个分箱"),
    "churn_drift": ("a factor of the model, then and now", "模型的一个因子（训练时与现在）"),
    "churn_metrics": ("a measure of a model, out of time", "一个模型的一项指标（时间外检验）"),
    "churn_origins": ("a day (origin) that the model learned from or was tested on", "模型学习或检验所用的一个基准日"),
    "churn_persons": ("a person with a car that may be lost", "一位可能流失的客户"),
    "churn_scores": ("a car that may be lost, with its chance", "一辆可能流失的车辆及其概率"),
    "lost_definitions": ("a definition of lost", "一种流失定义"),
    "lost_ranks": ("a series, with its rank by each definition of lost", "一个车系及其在各流失定义下的名次"),
    "lost_series": ("a series, by the definition of lost in force", "一个车系（按现行流失定义）"),
    "person_stages": ("a person with the stage, as of the day of the report", "一位客户及其所处阶段（报告日）"),
    "return_curves": ("a group of visits and months of absence", "一组进店记录与离店月数"),
    "scorecard_points": ("a bin of a factor, with its points", "一个因子的一个分箱及其分值"),
    "stage_transitions": ("a stage a year before and a stage after, of cars or persons", "车辆或客户的前后两个阶段"),
}


def one_row(table: str, language: str) -> str:
    """What one row of a built table is, in ``en`` or ``zh``; empty for a table that is not the kit's."""
    zh = language == "zh"
    canonical = TABLES.get(table.removeprefix(_RAW))
    if canonical is None and table not in ROWS and table.removeprefix(_RAW).startswith(_EXTRA):
        return "扩展数据表的一行" if zh else "a row of a further table of the params"
    if canonical is None:
        return ROWS[table][zh] if table in ROWS else ""
    said = canonical.row_zh if zh else canonical.row_en
    if not table.startswith(_RAW):
        return said
    return f"{said}（原始数据）" if zh else f"{said}, as delivered"
